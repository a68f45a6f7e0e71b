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

// Authenticate returns the key whose secret this is, used from that address, and
// remembers the use for FlushLastUse; the first one of a young key it writes itself, so it is not for within a transaction. It answers INVALID_API_KEY, NETWORK_NOT_ALLOWED,
// REVOKED_API_KEY or EXPIRED_API_KEY, in this order: what has not the form of a key costs no read, and
// whoever holds a secret outside its networks does not learn whether it would still work. A key that another
// process changes counts as it was for a tenth of a second more. Its slices are shared: read only.
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
		return Key{}, apierr.New(apierr.InvalidAPIKey, "This API key is not known here. Look in the dashboard under Settings → API Keys, or make a new one there.")
	case !k.allowsFrom(from):
		return Key{}, apierr.New(apierr.NetworkNotAllowed, "This API key may not be used from your address. Use it from one of its allowed networks, or change them in the dashboard.")
	case k.RevokedAt != nil:
		return Key{}, apierr.New(apierr.RevokedAPIKey, "This API key was revoked on %s. Make a new one in the dashboard under Settings → API Keys.", k.RevokedAt.Format(time.RFC3339))
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return Key{}, apierr.New(apierr.ExpiredAPIKey, "This API key expired on %s. Make a new one in the dashboard under Settings → API Keys.", k.ExpiresAt.Format(time.RFC3339))
	}
	s.mu.Lock()
	_, noticed := s.keysUsed[k.ID]
	s.keysUsed[k.ID] = later(s.keysUsed[k.ID], now)
	s.mu.Unlock()
	if k.LastUsedAt == nil && !noticed && now.Sub(k.CreatedAt) < DeviceCodeLifetime {
		// It may be the key of a device authorization. Other replicas must not take it for unused and give it another secret.
		// The call succeeds even if this fails, because FlushLastUse writes it, too.
		_ = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return touchKeys(ctx, tx, map[id.ID]time.Time{k.ID: now}) })
	}
	return k, nil
}

// lookUp finds a key, without a read where it was read a moment ago.
func (s *Service) lookUp(ctx context.Context, r db.Reader, hash string) (Key, bool, error) {
	now := clock.System{}.Now() // how old a read is has nothing to do with the time that tenants see
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

// malformed says in which way the text is no key. None of it is a secret: the form is documented.
func malformed(secret string) error {
	m := "This API key is incomplete or has a typing error in it. Copy it again, whole."
	switch {
	case strings.HasPrefix(secret, SecretPrefix+"your_"), secret == SecretPrefix+"...", secret == SecretPrefix+"…":
		m = "This is the documentation's example, not a key. Make your own in the dashboard under Settings → API Keys."
	case strings.TrimFunc(secret, func(r rune) bool { return strings.ContainsRune(" \t\"'<>", r) }) != secret:
		m = "There are quotation marks, brackets or spaces around this API key. Send the key alone."
	case !strings.HasPrefix(secret, SecretPrefix):
		m = "This is not an API key: a key begins with " + SecretPrefix + ". Make one in the dashboard under Settings → API Keys."
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

// rereadAtOnce is how many keys one query of Reread reads.
const rereadAtOnce = 100

// Reread reads the keys with those secrets, many with one query, so that each is fresh for a moment and Authenticate need not ask.
func (s *Service) Reread(ctx context.Context, r db.Reader, secrets []string) error {
	for some := range slices.Chunk(secrets, rereadAtOnce) {
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
