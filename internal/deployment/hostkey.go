package deployment

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/step"
)

// HostKeySource is how the host keys of a deployment are known.
type HostKeySource string

// The sources of host keys.
const (
	// HostKeysOfProvider were stated by the provider.
	HostKeysOfProvider HostKeySource = "provider"
	// HostKeysIssued were made by Billet, given to the machine, and shown by it.
	HostKeysIssued HostKeySource = "issued"
	// HostKeysLearned are what the machine showed when Billet first connected to it.
	HostKeysLearned HostKeySource = "first_connection"
)

func hostKeyPurpose(deployment id.ID) string { return "host-key/" + string(deployment) }

// issueHostKey returns the host key to launch the machine with, which the first call makes and
// records; none if the machine cannot be given one. A launch that is repeated has the same key.
func (s *Service) issueHostKey(ctx context.Context, p provider.Provider, r *row) (provider.HostKey, error) {
	taker, can := p.(provider.HostKeyTaker)
	if !can || !taker.TakesHostKey(r.offerKey) || !r.capabilities.CloudInit || !cloudinit.TakesHostKey(r.cloudInit) {
		return provider.HostKey{}, nil
	}
	if r.hostKeyPublic != "" {
		private, err := s.cfg.Secrets.Open(hostKeyPurpose(r.id), r.hostKeySealed)
		return provider.HostKey{Private: string(private), Public: r.hostKeyPublic}, err
	}
	key, err := provider.NewHostKey()
	if err != nil {
		return provider.HostKey{}, err
	}
	r.hostKeyPublic = key.Public
	r.hostKeySealed = s.cfg.Secrets.Seal(hostKeyPurpose(r.id), []byte(key.Private))
	return key, s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return guarded(setHostKey(ctx, tx, r))
	})
}

// awaitsHostKey reports whether the machine was given a host key, shows another, and may still take
// the one that it was given.
func (r *row) awaitsHostKey(shown []string, now time.Time) bool {
	if r.hostKeyPublic == "" || r.showsIssuedKey(shown) {
		return false
	}
	for _, st := range r.steps {
		if st.Name == step.Connecting && st.StartedAt != nil {
			return now.Sub(*st.StartedAt) < issuedGrace
		}
	}
	return true
}

// showsIssuedKey reports whether every node shows the host key that the machine was given.
func (r *row) showsIssuedKey(shown []string) bool {
	for _, k := range shown {
		if k != r.hostKeyPublic {
			return false
		}
	}
	return r.hostKeyPublic != ""
}

// setHostKeys keeps the host keys that the nodes show, if the provider states none.
func (r *row) setHostKeys(shown []string) {
	if r.sshHostKeySource == HostKeysOfProvider || len(shown) == 0 || shown[0] == "" {
		return
	}
	r.sshHostKeySource, r.sshHostKeys = HostKeysLearned, shown[:1]
	if r.showsIssuedKey(shown) {
		r.sshHostKeySource = HostKeysIssued
	}
	for i := range r.nodes {
		if i < len(shown) && shown[i] != "" {
			r.nodes[i].Keys = shown[i : i+1]
		}
	}
}

// forgetHostKeys has the host keys learned again: the machine is being reinstalled.
func (r *row) forgetHostKeys(now time.Time) {
	if r.sshHostKeySource == HostKeysOfProvider {
		return
	}
	by := now.Add(relearnLimit)
	r.sshHostKeys, r.sshHostKeySource, r.hostKeyBy = []string{}, "", &by
	for i := range r.nodes {
		r.nodes[i].Keys = nil
	}
}

// Sealed are the columns with sealed texts.
var Sealed = []secret.Column{
	{Table: "deployment", Column: "host_key_sealed", Key: "id", Purpose: of(hostKeyPurpose)},
	{Table: "deployment", Column: "health_key_sealed", Key: "id", Purpose: of(healthKeyPurpose)},
}

func of(purpose func(deployment id.ID) string) func(string) string {
	return func(deployment string) string { return purpose(id.ID(deployment)) }
}
