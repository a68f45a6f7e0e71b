package account

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// SecretPrefix begins every API key, so that users and scanners for leaked secrets recognize one.
const SecretPrefix = "pk_live_"

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// randomLength characters of base62 are 256 bits.
	randomLength   = 43
	checksumLength = 6
	secretLength   = len(SecretPrefix) + randomLength + checksumLength
	shownLength    = len(SecretPrefix) + 4
)

// newSecret returns a new API key: the prefix, 256 random bits and a checksum.
func newSecret(r io.Reader) (string, error) {
	random, err := randomText(r)
	if err != nil {
		return "", err
	}
	return SecretPrefix + random + checksum(SecretPrefix+random), nil
}

// wellFormed reports whether the text has the format of an API key and a valid checksum.
func wellFormed(secret string) bool {
	if len(secret) != secretLength || !strings.HasPrefix(secret, SecretPrefix) {
		return false
	}
	n := len(secret) - checksumLength
	return isBase62(secret[len(SecretPrefix):]) && secret[n:] == checksum(secret[:n])
}

func isBase62(s string) bool {
	for i := range len(s) {
		if !strings.Contains(base62, s[i:i+1]) {
			return false
		}
	}
	return true
}

// checksum is the CRC-32 (IEEE) of s in six characters of base62, most significant first.
// It detects typing errors. It does not prevent invented keys of the right format.
func checksum(s string) string {
	n := crc32.ChecksumIEEE([]byte(s))
	var b [checksumLength]byte
	for i := range b {
		b[checksumLength-1-i] = base62[n%62]
		n /= 62
	}
	return string(b[:])
}

// randomText returns 43 characters of base62, all equally likely.
func randomText(r io.Reader) (string, error) {
	out := make([]byte, 0, randomLength)
	var buf [64]byte
	for len(out) < randomLength {
		if _, err := io.ReadFull(r, buf[:]); err != nil {
			return "", fmt.Errorf("no randomness: %w", err)
		}
		for _, b := range buf {
			// 248 is the greatest multiple of 62 in a byte. Above it the first letters would be
			// more likely.
			if b < 248 && len(out) < randomLength {
				out = append(out, base62[b%62])
			}
		}
	}
	return string(out), nil
}

// hashOf returns the SHA-256 of a secret in hex, as it is stored. A slow hash would add nothing to
// 256 random bits, and would slow down every request.
func hashOf(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}
