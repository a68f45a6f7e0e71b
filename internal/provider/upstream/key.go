package upstream

import (
	"context"
	"slices"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Keys are the SSH keys of an account at a cloud that stores them under ids of its own. A key is
// known by its material: anyone with access to the account can give any name to any key. Find and
// Add are required. It is safe for concurrent use.
type Keys struct {
	// Find returns the cloud's id of the key with the material of that line, or "".
	Find func(ctx context.Context, line string) (string, error)
	// Add uploads a key, without its comment, under its KeyName. It returns the cloud's id, or ""
	// where the cloud did not state it. A refusal is KindRejected, also that of a name or a key
	// that exists already.
	Add func(ctx context.Context, name, public string) (string, error)

	locks KeyedLock
}

// ID returns the cloud's id of the tenant's key, and uploads the key where the cloud does not have
// it. It fails as KindRejected where the cloud refuses the key.
func (k *Keys) ID(ctx context.Context, line string) (string, error) {
	name := KeyName(line)
	unlock, err := k.locks.Lock(ctx, id.ID(name))
	if err != nil {
		return "", err
	}
	defer unlock()
	if found, err := k.Find(ctx, line); err != nil || found != "" {
		return found, err
	}
	made, err := k.Add(ctx, name, BareKey(line))
	if made != "" && err == nil || err != nil && !provider.IsKind(err, provider.KindRejected) {
		return made, err
	}
	// Another Billet with the same account may have uploaded it first.
	found, again := k.Find(ctx, line)
	switch {
	case again != nil || found != "":
		return found, again
	case err == nil:
		return "", Unavailable("an SSH key was created, and the cloud did not state its id")
	}
	return "", &provider.Error{
		Kind: provider.KindRejected, Message: "The provider does not accept this SSH key. Use another one.", Cause: err,
	}
}

// IDs returns the ids of the keys, each once.
func (k *Keys) IDs(ctx context.Context, lines []string) ([]string, error) {
	ids := make([]string, 0, len(lines))
	for _, line := range lines {
		one, err := k.ID(ctx, line)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, one) {
			ids = append(ids, one)
		}
	}
	return ids, nil
}
