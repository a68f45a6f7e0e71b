package volume

import (
	"context"
	"fmt"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/quota"
	"github.com/billetcloud/billet/internal/spendlimit"
)

// UpdateRequest is what to change. A nil field leaves its value as it is.
type UpdateRequest struct {
	// Key is the API key whose spending limits count; "" for a user.
	Key id.ID
	// Within is the only project of which the caller may know what is spent; "" for all.
	Within string
	Name   *string
	// SizeGB is the whole new size, in decimal GB; never less than before.
	SizeGB *int64
	// Project is the project to put it in; "" for none.
	Project *string
}

// Update renames a volume, puts it in another project, and grows it in the background at its own
// price per GB: SizeGB and the price change when the provider has done it, for the hours that begin
// then. Machines keep the path at which they mounted it. It returns NOT_FOUND, INVALID_REQUEST with
// every problem, CONFLICT, or INSUFFICIENT_BALANCE if less than an hour of the growth is available.
func (s *Service) Update(ctx context.Context, tx *db.Tx, account, volume id.ID, req UpdateRequest) (Volume, error) {
	if req.SizeGB != nil { // before the volume's row, as everywhere
		if err := accounts.Enter(ctx, tx, account); err != nil {
			return Volume{}, err
		}
	}
	r, err := s.lock(ctx, tx, account, volume)
	if err != nil {
		return Volume{}, err
	}
	rename := req.Name != nil && *req.Name != r.name
	grow := req.SizeGB != nil && *req.SizeGB != r.wantedSizeGB
	move := req.Project != nil && *req.Project != r.project
	if !rename && !grow && !move {
		return s.one(ctx, tx, r)
	}
	if err := s.checkUpdate(&r, req, rename, grow); err != nil {
		return Volume{}, err
	}
	if grow {
		if err := s.beginGrowth(ctx, tx, &r, req); err != nil {
			return Volume{}, err
		}
	}
	if rename { // first: meters are locked before wallets
		if err := s.rename(ctx, tx, &r, *req.Name); err != nil {
			return Volume{}, err
		}
	}
	if move {
		r.project = *req.Project
		if err := s.cfg.Wallet.Describe(ctx, tx, r.billed()); err != nil {
			return Volume{}, err
		}
	}
	if err := s.saved(ctx, tx, &r, "updated"); err != nil {
		return Volume{}, err
	}
	return s.one(ctx, tx, r)
}

// checkUpdate returns what is wrong with a request.
func (s *Service) checkUpdate(r *record, req UpdateRequest, rename, grow bool) error {
	var fields []apierr.FieldError
	if rename {
		fields = checkName(*req.Name)
	}
	if grow {
		fields = append(fields, s.checkGrowth(r, *req.SizeGB)...)
	}
	if req.Project != nil && *req.Project != "" {
		fields = append(fields, apierr.CheckName("project", *req.Project)...)
	}
	switch err := apierr.Invalid(fields).OrNil(); {
	case err != nil:
		return err
	case r.ended():
		return apierr.New(apierr.Conflict, "The volume is %s and can no longer be changed.", r.status)
	case grow && r.status == StatusCreating:
		return apierr.New(apierr.Conflict, "The volume is being created. It can grow once it is available.")
	}
	return nil
}

func (s *Service) checkGrowth(r *record, sizeGB int64) []apierr.FieldError {
	invalid := func(format string, args ...any) []apierr.FieldError {
		return []apierr.FieldError{{Field: "sizeGb", Message: fmt.Sprintf(format, args...)}}
	}
	price, sold := s.cfg.Catalog.For(r.account).VolumePrice(r.provider, r.region)
	switch {
	case sizeGB < r.wantedSizeGB:
		return invalid("must be at least %d: a volume cannot shrink.", r.wantedSizeGB)
	case !sold:
		return invalid(
			"cannot change now: %s offers no volumes in %s at the moment. Try again later.",
			r.provider,
			r.region,
		)
	case sizeGB > price.MaxSizeGB:
		return invalid("must be at most %d for a volume of %s in %s.", price.MaxSizeGB, r.provider, r.region)
	}
	return nil
}

// beginGrowth has the volume grow, if an hour of the growth is available and the key may spend it.
func (s *Service) beginGrowth(ctx context.Context, tx *db.Tx, r *record, req UpdateRequest) error {
	sizeGB := *req.SizeGB
	added := sizeGB - r.wantedSizeGB
	extra := r.hourlyPricePerGB.Times(added)
	if err := s.checkQuota(ctx, tx, r.account, quota.Usage{VolumeGB: added, HourlySpend: extra}); err != nil {
		return err
	}
	// What it grows by is neither charged nor on hold until it has grown.
	cost := budget.Cost{Of: r.billed(), Amount: extra, Within: req.Within, DryRun: true}
	if _, err := budget.Admit(ctx, tx, cost); err != nil {
		return err
	}
	w, err := s.cfg.Wallet.Get(ctx, tx, r.account)
	if err != nil {
		return err
	}
	if w.Available < extra {
		what := fmt.Sprintf("add %d GB (an hour at %s per GB)", added, r.hourlyPricePerGB)
		return insufficient(extra, w.Available, what, req.Within)
	}
	if err := spendlimit.Reprice(ctx, tx, req.Key, r.id, r.hourlyPricePerGB.Times(sizeGB)); err != nil {
		return err
	}
	r.wantedSizeGB, r.reason = sizeGB, ""
	return s.enqueue(ctx, tx, r)
}

// rename gives the volume another name, which the next hours are charged under.
func (s *Service) rename(ctx context.Context, tx *db.Tx, r *record, name string) error {
	renamed, err := setName(ctx, tx, r.account, r.id, name)
	if err != nil {
		return err
	}
	if !renamed {
		return s.nameTaken(ctx, tx, r.account, name)
	}
	r.name = name
	return s.reprice(ctx, tx, r)
}
