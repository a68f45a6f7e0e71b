package rackagent

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

const (
	marksPerSpace = 256
	markSize      = 4096 // bytes
	markPart      = 512  // a mark is gone if no part of this size is left
)

// marks are random blocks at random positions over a whole space, with its first and last block.
// Their content is derived from a random key, so no drive and no former tenant can know it.
type marks struct {
	space   Space
	content cipher.Block
	offsets []int64
}

func newMarks(s Space) (*marks, error) {
	blocks := s.Size() / markSize
	if blocks == 0 {
		return nil, fmt.Errorf("%s is too small to be tested", s.Name())
	}
	content, err := randomContent()
	if err != nil {
		return nil, err
	}
	m := &marks{space: s, content: content}
	n := min(marksPerSpace, blocks)
	for i := range n { // one in each of n equal parts
		from, to := blocks*i/n, blocks*(i+1)/n
		at, err := rand.Int(rand.Reader, big.NewInt(to-from))
		if err != nil {
			return nil, err
		}
		m.offsets = append(m.offsets, (from+at.Int64())*markSize)
	}
	last := (s.Size() - markSize) / int64(s.SectorSize()) * int64(s.SectorSize())
	m.offsets[0], m.offsets[n-1] = 0, last
	if n > 1 && m.offsets[n-2]+markSize > last {
		m.offsets = append(m.offsets[:n-2], last)
	}
	return m, nil
}

func randomContent() (cipher.Block, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}

// fill writes the content that belongs at an offset, which is a multiple of 16 bytes.
func fill(b []byte, content cipher.Block, offset int64) {
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(offset)/aes.BlockSize) // never negative
	clear(b)
	cipher.NewCTR(content, counter[:]).XORKeyStream(b, b)
}

// write writes the marks and reads them back, so that a drive that ignores writes is not taken
// for one that was erased.
func (m *marks) write() error {
	b, got := make([]byte, markSize), make([]byte, markSize)
	for _, offset := range m.offsets {
		fill(b, m.content, offset)
		if _, err := m.space.WriteAt(b, offset); err != nil {
			return fmt.Errorf("write a mark: %w", err)
		}
	}
	if err := m.space.Flush(); err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	for _, offset := range m.offsets {
		fill(b, m.content, offset)
		if _, err := m.space.ReadAt(got, offset); err != nil {
			return fmt.Errorf("read a mark back: %w", err)
		}
		if !bytes.Equal(b, got) {
			return errors.New("a mark that was written is not there: the drive does not keep what is written")
		}
	}
	return nil
}

// gone returns how many marks are gone. An error means that the drive cannot be read.
func (m *marks) gone() (int, error) {
	if err := m.space.Flush(); err != nil {
		return 0, err
	}
	n := 0
	b, got := make([]byte, markSize), make([]byte, markSize)
	for _, offset := range m.offsets {
		fill(b, m.content, offset)
		if _, err := m.space.ReadAt(got, offset); err != nil {
			return n, fmt.Errorf("read where a mark was: %w", err)
		}
		if !sharesPart(b, got) {
			n++
		}
	}
	return n, nil
}

func sharesPart(a, b []byte) bool {
	for i := 0; i < len(a); i += markPart {
		if bytes.Equal(a[i:i+markPart], b[i:i+markPart]) {
			return true
		}
	}
	return false
}
