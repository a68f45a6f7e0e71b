package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/step"
	"github.com/billetcloud/billet/internal/wallet"
)

// adoptedLimit is how long the host keys of an adopted machine may take to be learned: a recovery
// may last for hours after the adoption, and its tenant may have closed the SSH port meanwhile.
const adoptedLimit = 24 * time.Hour

// AdoptRequest is a machine of Billet's that the database does not know, and what an operator says
// that it is.
type AdoptRequest struct {
	// Reference is what the provider has as the machine's reference: the id of its former
	// deployment.
	Reference id.ID
	Provider  string
	MachineID string // the provider's own

	Account id.ID
	// OfferID is what the machine is billed as, also if it is sold out. It must be of the provider.
	OfferID         id.ID
	OperatingSystem *string
	Name            string
}

// Adopt gives a machine that exists back to an account, as a running deployment with the id that it
// had. It is billed from now on: the first hour is charged at once. The tenant's machine is not
// touched; its address and host keys are read by the job that is enqueued. Its SSH keys are the
// account's saved ones, which a reinstallation authorizes.
//
// It returns INVALID_REQUEST with every problem, NOT_FOUND, CONFLICT for a machine that has a
// deployment, INSUFFICIENT_BALANCE or ACCOUNT_SUSPENDED.
func (s *Service) Adopt(ctx context.Context, tx *db.Tx, req AdoptRequest) (Deployment, error) {
	if err := accounts.Enter(ctx, tx, req.Account); err != nil {
		return Deployment{}, err
	}
	if _, exists, err := findAny(ctx, tx, req.Reference); err != nil || exists {
		if err == nil {
			err = apierr.New(apierr.Conflict, "Deployment %s exists already.", req.Reference)
		}
		return Deployment{}, err
	}
	f := &fieldErrors{}
	f.invalid = append(f.invalid, apierr.CheckName("name", req.Name)...)
	offer, found := s.cfg.Catalog.For(req.Account).Get(req.OfferID)
	system := ""
	switch {
	case !found:
		f.notFound("offerId", "no offer has this id now. Choose an offer from GET /offers.")
	case offer.Provider != req.Provider:
		f.add("offerId", "is an offer of %s, but the machine is at %s.", offer.Provider, req.Provider)
	default:
		system = checkHardware(f, CreateRequest{OperatingSystem: req.OperatingSystem}, offer)
	}
	if err := f.err(); err != nil {
		return Deployment{}, err
	}
	keys, err := s.savedKeys(ctx, tx, req.Account)
	if err != nil {
		return Deployment{}, err
	}
	now := seconds(tx.Now)
	r := &row{
		id: req.Reference, account: req.Account, name: req.Name, tags: []string{}, createdBy: creator.ByOperator,
		status: StatusDeploying, cause: CauseLaunching, createdAt: now, launchBy: now, launchAskedAt: &now,
		machineID: req.MachineID, authorizedKeys: keys, attempts: []Attempt{}, plans: []plan{},
		healthAccess: health.AccessLaunch,
	}
	r.setOffer(acceptedOffer{offer, system, offer.HourlyPrice}.plan())
	r.healthPolicy = health.Off // a running machine is the tenant's already
	r.steps = step.New(now, false)
	by := now.Add(adoptedLimit)
	r.sshHostKeys, r.hostKeyBy = []string{}, &by
	err = s.cfg.Wallet.Hold(ctx, tx, wallet.Hold{
		Account: r.account, Subject: r.id, Amount: r.hourlyPrice, Minimum: r.hourlyPrice, Bound: r.hourlyPrice,
		Of: r.billed(), Labels: r.labels(),
		Description: fmt.Sprintf("%s: hold for the first hour of %s at %s/hr", r.name, r.hardware(), r.hourlyPrice),
	})
	if e, is := errors.AsType[*wallet.InsufficientError](err); is {
		return Deployment{}, insufficient(r.hourlyPrice, e.Available, "")
	} else if err != nil {
		return Deployment{}, err
	}
	if err := insert(ctx, tx, r); err != nil {
		return Deployment{}, err
	}
	data := map[string]any{"offerId": r.offerID, "hourlyPrice": r.hourlyPrice}
	if err := s.appendEvent(ctx, tx, r, "created", data); err != nil {
		return Deployment{}, err
	}
	if err := s.changeIn(ctx, tx, r, CauseReady, "", func(ctx context.Context, tx *db.Tx, r *row) error {
		r.startedAt = &now
		r.steps = step.End(r.steps, false, "", now)
		return s.startMeter(ctx, tx, r, cmp.Or(r.machineCost, r.costPrice))
	}); err != nil {
		return Deployment{}, err
	}
	return r.view(), s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindReconcile, r.id, tx.Now)
}

// savedKeys returns the account's saved SSH keys, at most as many as a deployment may have.
func (s *Service) savedKeys(ctx context.Context, r db.Reader, account id.ID) ([]authorizedKey, error) {
	saved, _, err := s.cfg.SSHKeys.List(ctx, r, account, db.NameFilter{}, db.NewestFirst,
		db.Page{Number: 1, Limit: MaxKeys})
	out := make([]authorizedKey, len(saved))
	for i, k := range saved {
		out[i] = authorizedKey{KeyRef: KeyRef{ID: &k.ID, Name: k.Name, Fingerprint: k.Fingerprint}, Line: k.PublicKey}
	}
	return out, err
}
