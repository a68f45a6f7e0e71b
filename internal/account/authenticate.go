package account

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Authenticate returns the key with this secret, used from that address, and records the use for
// FlushLastUse. It writes the first use of a new key itself, so it must not be called inside a
// transaction. It returns INVALID_API_KEY, NETWORK_NOT_ALLOWED, REVOKED_API_KEY or EXPIRED_API_KEY,
// in this order: a malformed key costs no query, and a caller outside the key's networks does not
// learn its state. A change by another process takes effect after a tenth of a second. The key's
// slices are shared and must not be changed.
func (s *Service) Authenticate(ctx context.Context, r db.Reader, secret string, from netip.Addr) (Key, error) {
	if !wellFormed(secret) {
		return Key{}, malformed(secret)
	}
	k, found, err := s.lookUp(ctx, r, hashOf(secret))
	if err != nil {
		return Key{}, err
	}
	now := s.now()
	switch {
	case !found:
		return Key{}, apierr.New(apierr.InvalidAPIKey,
			"Unknown API key. Check it in the dashboard under Settings → API keys, or create a new one there.")
	case !k.allowsFrom(from):
		return Key{}, apierr.New(apierr.NetworkNotAllowed,
			"This API key does not work from your address. Use it from one of its allowed networks, or change "+
				"them in the dashboard.")
	case k.RevokedAt != nil:
		return Key{}, apierr.New(apierr.RevokedAPIKey,
			"This API key was revoked on %s. Create a new one in the dashboard under Settings → "+
				"API keys.", k.RevokedAt.Format(time.RFC3339))
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return Key{}, apierr.New(apierr.ExpiredAPIKey,
			"This API key expired on %s. Create a new one in the dashboard under Settings → "+
				"API keys.", k.ExpiresAt.Format(time.RFC3339))
	}
	s.mu.Lock()
	_, seen := s.keysUsed[k.ID]
	s.keysUsed[k.ID] = later(s.keysUsed[k.ID], now)
	s.mu.Unlock()
	if k.LastUsedAt == nil && !seen && now.Sub(k.CreatedAt) < DeviceCodeLifetime {
		// It may be the key of a device authorization. Other replicas must not take it for unused
		// and give it another secret. The call succeeds even if this fails, because FlushLastUse
		// writes it, too.
		_ = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return touchKeys(ctx, tx, map[id.ID]time.Time{k.ID: now})
		})
	}
	return k, nil
}

// lookUp returns a key, without a query if it was read a moment ago.
func (s *Service) lookUp(ctx context.Context, r db.Reader, hash string) (Key, bool, error) {
	now := clock.System{}.Now() // real time: the age of a read does not depend on the simulated clock
	k, fresh, seen := s.remembered.get(hash, now)
	if fresh {
		return k, true, nil
	}
	k, found, err := keyByHash(ctx, r, hash)
	if err == nil && found {
		s.remembered.put(hash, k, now, seen)
	}
	return k, found, err
}

// malformed returns why the text cannot be a key. That reveals no secret, because the format is
// documented.
func malformed(secret string) error {
	m := "This API key is incomplete or mistyped. Copy the whole key again."
	switch {
	case strings.HasPrefix(secret, SecretPrefix+"your_"), secret == SecretPrefix+"...", secret == SecretPrefix+"…":
		m = "This is the example of the documentation, not a key. Create a key in the dashboard under Settings → " +
			"API keys."
	case strings.TrimFunc(secret, func(r rune) bool { return strings.ContainsRune(" \t\"'<>", r) }) != secret:
		m = "There are quotation marks, brackets or spaces around this API key. Send only the key."
	case !strings.HasPrefix(secret, SecretPrefix):
		m = "This is not an API key: a key begins with " + SecretPrefix +
			". Create one in the dashboard under Settings → API keys."
	}
	return apierr.New(apierr.InvalidAPIKey, "%s", m)
}

func (k Key) allowsFrom(from netip.Addr) bool {
	if len(k.AllowedNetworks) == 0 {
		return true
	}
	from = from.Unmap().WithZone("")
	for _, text := range k.AllowedNetworks {
		if p, ok := ParseNetwork(text); ok && p.Contains(from) {
			return true
		}
	}
	return false
}

// rereadBatch is how many keys one query of Reread reads.
const rereadBatch = 100

// Reread reads the keys with those secrets, many with one query, so that Authenticate needs no
// query for a moment.
func (s *Service) Reread(ctx context.Context, r db.Reader, secrets []string) error {
	for some := range slices.Chunk(secrets, rereadBatch) {
		hashes := make([]string, len(some))
		for i, secret := range some {
			hashes[i] = hashOf(secret)
		}
		now := clock.System{}.Now()
		_, _, seen := s.remembered.get("", now)
		found, err := keysByHashes(ctx, r, hashes)
		if err != nil {
			return err
		}
		for hash, k := range found {
			s.remembered.put(hash, k, now, seen)
		}
	}
	return nil
}
