package upstream

import (
	"context"
	"errors"
	"slices"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Keys are the SSH keys of an account at a cloud that has them as objects and knows them by ids of its own. A key is known by its
// material: whoever may see the account can give any name to any key. Find and Add are required. It is safe for concurrent use.
type Keys struct {
	// Find returns the cloud's id of the key with the material of that line, "" where the cloud has none.
	Find func(ctx context.Context, line string) (string, error)
	// Add uploads a key, without its comment, under its KeyName, and returns the cloud's id of it, "" where the cloud did not say. A
	// refusal is KindRejected, also that of a name or a key that is there already.
	Add func(ctx context.Context, name, public string) (string, error)

	turns Turns
}

// ID returns the cloud's id of the tenant's key, which is uploaded where the cloud does not have it. KindRejected is for a key that the
// cloud does not take.
func (k *Keys) ID(ctx context.Context, line string) (string, error) {
	name := KeyName(line)
	done, err := k.turns.Take(ctx, id.ID(name))
	if err != nil {
		return "", err
	}
	defer done()
	if found, err := k.Find(ctx, line); err != nil || found != "" {
		return found, err
	}
	made, err := k.Add(ctx, name, BareKey(line))
	if made != "" && err == nil || err != nil && provider.KindOf(err) != provider.KindRejected {
		return made, err
	}
	// Somebody else was faster, perhaps: another Billet with the same account.
	found, again := k.Find(ctx, line)
	switch {
	case again != nil || found != "":
		return found, again
	case err == nil:
		return "", unavailable(errors.New("an SSH key was made, and the cloud did not say which"))
	}
	return "", &provider.Error{Kind: provider.KindRejected, Message: "The provider does not take this SSH key. Use another one.", Cause: err}
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
