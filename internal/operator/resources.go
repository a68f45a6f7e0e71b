package operator

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/volume"
)

// Owner is the account of a resource.
type Owner struct {
	AccountID   id.ID  `json:"accountId" doc:"Id of the account, acc_…."`
	AccountName string `json:"accountName" doc:"Name of the account."`
}

// Deployment is a deployment with its account.
type Deployment struct {
	deployment.Deployment
	Owner
}

// Volume is a volume with its account.
type Volume struct {
	volume.Volume
	Owner
}

// Deployments returns a page of the deployments of all accounts, newest first.
func (s *Service) Deployments(
	ctx context.Context, r db.Reader, f deployment.FilterAll, p db.Page,
) ([]Deployment, db.Listed, error) {
	all, total, err := s.cfg.Deployments.ListAll(ctx, r, f, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	ids := make([]id.ID, len(all))
	for i, d := range all {
		ids[i] = d.Account
	}
	owners, err := s.owners(ctx, r, ids)
	out := make([]Deployment, len(all))
	for i, d := range all {
		out[i] = Deployment{d, owners[d.Account]}
	}
	return out, total, err
}

// Volumes returns a page of the volumes of all accounts, newest first.
func (s *Service) Volumes(
	ctx context.Context, r db.Reader, f volume.FilterAll, p db.Page,
) ([]Volume, db.Listed, error) {
	all, total, err := s.cfg.Volumes.ListAll(ctx, r, f, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	ids := make([]id.ID, len(all))
	for i, v := range all {
		ids[i] = v.Account
	}
	owners, err := s.owners(ctx, r, ids)
	out := make([]Volume, len(all))
	for i, v := range all {
		out[i] = Volume{v.Volume, owners[v.Account]}
	}
	return out, total, err
}

// TerminateDeployment ends a deployment of any account at once, whatever its minimum runtime or
// protection. Its tenant reads the reason. It reports whether anything changed, and returns
// INVALID_REQUEST or NOT_FOUND.
func (s *Service) TerminateDeployment(
	ctx context.Context, tx *db.Tx, of id.ID, reason string,
) (d Deployment, changed bool, err error) {
	if err := checkReason(reason); err != nil {
		return Deployment{}, false, err
	}
	ended, changed, err := s.cfg.Deployments.TerminateByOperator(ctx, tx, of, reason)
	if err != nil {
		return Deployment{}, false, err
	}
	owners, err := s.owners(ctx, tx, []id.ID{ended.Account})
	return Deployment{ended, owners[ended.Account]}, changed, err
}

// owners returns the accounts with their names, with one query.
func (s *Service) owners(ctx context.Context, r db.Reader, ids []id.ID) (map[id.ID]Owner, error) {
	names, err := s.cfg.Accounts.Names(ctx, r, ids)
	out := make(map[id.ID]Owner, len(names))
	for account, name := range names {
		out[account] = Owner{account, name}
	}
	return out, err
}

// maxReason is the most characters of a reason.
const maxReason = 500

// checkReason requires a text that a tenant can read.
func checkReason(reason string) error {
	faults := apierr.CheckText("reason", reason, maxReason)
	if strings.TrimSpace(reason) == "" {
		faults = []apierr.FieldError{{Field: "reason", Message: "is required: the account reads it."}}
	}
	return apierr.Invalid(faults).OrNil()
}
