package volume

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/quota"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/billetcloud/billet/internal/wallet"
)

// CreateRequest asks for a volume.
type CreateRequest struct {
	// Key is the API key whose spending limits count; "" for a user.
	Key id.ID
	// By is who asks. Project is the project to put it in, "" for none.
	By      creator.Creator
	Project string
	// Within is the only project of which the caller may know what is spent; "" for all.
	Within string
	// Name is 1 to 64 letters, digits, dots, hyphens and underscores, and begins with a letter or
	// digit: machines mount the volume at a path of that name.
	Name string
	// SizeGB is in decimal GB.
	SizeGB           int64
	Provider, Region string
}

// Create creates a volume in the background, and puts the price of its first hour on hold. It
// returns INVALID_REQUEST with every problem, CONFLICT if the account has a volume of that name,
// INSUFFICIENT_BALANCE if less than the first hour is available, BUDGET_EXCEEDED, and
// SERVICE_UNAVAILABLE while the provider's prices are unknown.
func (s *Service) Create(ctx context.Context, tx *db.Tx, account id.ID, req CreateRequest) (Volume, error) {
	if !s.cfg.Catalog.Ready() {
		return Volume{}, unavailable("The marketplace is temporarily unavailable. Try again shortly.")
	}
	if err := accounts.Enter(ctx, tx, account); err != nil {
		return Volume{}, err
	}
	// As every slug is, and as filters take them.
	req.Provider, req.Region = strings.ToLower(req.Provider), strings.ToLower(req.Region)
	if s.neverAnswered(req.Provider) {
		return Volume{}, unavailable("%s has not reported its prices yet. Try again shortly.", req.Provider)
	}
	price, fields := s.checkPlace(account, req)
	fields = append(checkName(req.Name), fields...)
	if req.Project != "" {
		fields = append(fields, apierr.CheckName("project", req.Project)...)
	}
	if err := apierr.Invalid(fields).OrNil(); err != nil {
		return Volume{}, err
	}
	now := tx.Now.Truncate(time.Second)
	r := record{
		id: s.cfg.IDs.New(id.Volume), account: account, name: req.Name, sizeGB: req.SizeGB, wantedSizeGB: req.SizeGB,
		provider: req.Provider, region: req.Region, status: StatusCreating, createdAt: now, statusSince: tx.Now,
		hourlyPricePerGB: price.PerGBHour, hourlyCostPerGB: price.CostPrice,
		project: req.Project, createdBy: req.By,
	}
	want := quota.Usage{Volumes: 1, VolumeGB: req.SizeGB, HourlySpend: r.hourlyPrice()}
	if err := s.checkQuota(ctx, tx, account, want); err != nil {
		return Volume{}, err
	}
	alerts, err := budget.Admit(ctx, tx, budget.Cost{Of: r.billed(), Amount: r.hourlyPrice(), Within: req.Within})
	if err != nil {
		return Volume{}, err
	}
	if inserted, err := insert(ctx, tx, r); err != nil {
		return Volume{}, err
	} else if !inserted {
		return Volume{}, s.nameTaken(ctx, tx, account, req.Name)
	}
	if err := s.hold(ctx, tx, &r, req); err != nil {
		return Volume{}, err
	}
	if err := s.appendEvent(ctx, tx, &r, "created"); err != nil {
		return Volume{}, err
	}
	if len(alerts) > 0 {
		if err := s.cfg.Events.Append(ctx, tx, alerts...); err != nil {
			return Volume{}, err
		}
	}
	return r.view(0), s.enqueue(ctx, tx, &r)
}

func unavailable(format string, args ...any) error {
	return &apierr.Error{
		Code: apierr.ServiceUnavailable, Message: fmt.Sprintf(format, args...), RetryAfter: 30 * time.Second,
	}
}

// neverAnswered reports whether the provider has volumes, but has never reported its prices: just
// after it was connected, or after the server's first start.
func (s *Service) neverAnswered(slug string) bool {
	p, configured := s.cfg.Providers.Get(slug)
	if _, has := p.(provider.VolumeProvider); !configured || !has {
		return false
	}
	return slices.ContainsFunc(s.cfg.Catalog.Health(), func(h catalog.Health) bool {
		return h.Provider == slug && h.LastSuccessAt == nil
	})
}

// hold puts the first hour on hold and counts the volume toward the limits of the key.
func (s *Service) hold(ctx context.Context, tx *db.Tx, r *record, req CreateRequest) error {
	if key := req.Key; key != "" {
		use := spendlimit.Use{Subject: r.id, HourlyPrice: r.hourlyPrice(), From: r.createdAt}
		if _, err := spendlimit.Begin(ctx, tx, key, use); err != nil {
			return err
		}
	}
	err := s.cfg.Wallet.Hold(ctx, tx, wallet.Hold{
		Account: r.account, Subject: r.id, Amount: r.hourlyPrice(), Of: r.billed(), Labels: r.labels(),
		Description: fmt.Sprintf("%s: first hour of a %d GB volume", r.name, r.sizeGB),
	})
	if short, is := errors.AsType[*wallet.InsufficientError](err); is {
		what := fmt.Sprintf("create this volume (its first hour: %d GB at %s per GB)", r.sizeGB, r.hourlyPricePerGB)
		return insufficient(short.Required, short.Available, what, req.Within)
	}
	return err
}

// checkPlace returns the price of the volume, or everything that is wrong with its provider, region
// and size.
func (s *Service) checkPlace(account id.ID, req CreateRequest) (price catalog.VolumePrice, fields []apierr.FieldError) {
	var providers, regions []string
	for _, p := range s.cfg.Catalog.For(account).VolumePricing() {
		if !slices.Contains(providers, p.Provider) {
			providers = append(providers, p.Provider)
		}
		if p.Provider == req.Provider {
			regions = append(regions, p.Region)
			if p.Region == req.Region {
				price = p
			}
		}
	}
	add := func(field, format string, args ...any) {
		fields = append(fields, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	p, configured := s.cfg.Providers.Get(req.Provider)
	_, has := p.(provider.VolumeProvider)
	switch {
	case req.Provider == "":
		add("provider", "is required. These providers have volumes: %s.", listed(providers))
	case !configured:
		add(
			"provider",
			"no provider has the slug %.80q. These providers have volumes: %s.",
			req.Provider,
			listed(providers),
		)
	case !has:
		add("provider", "%s has no volumes. These providers have: %s.", req.Provider, listed(providers))
	}
	switch {
	case req.Region == "":
		add("region", "is required%s", regionsHint(req.Provider, regions))
	case has && price.PerGBHour == 0:
		add("region", "%s has no volumes in %.80q%s", req.Provider, req.Region, regionsHint(req.Provider, regions))
	}
	switch {
	case req.SizeGB < 1:
		add("sizeGb", "must be a whole number of GB, at least 1.")
	case price.PerGBHour > 0 && (req.SizeGB < price.MinSizeGB || req.SizeGB > price.MaxSizeGB):
		add("sizeGb", "must be between %d and %d for a volume of %s in %s.",
			price.MinSizeGB, price.MaxSizeGB, req.Provider, req.Region)
	}
	return price, fields
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none at the moment"
	}
	return strings.Join(names, ", ")
}

func regionsHint(slug string, regions []string) string {
	if len(regions) == 0 {
		return "."
	}
	return fmt.Sprintf(". %s has volumes in: %s.", slug, strings.Join(regions, ", "))
}

// checkName is the rule for all names, and that a volume's name can be a directory of a machine.
func checkName(name string) []apierr.FieldError {
	if fields := apierr.CheckName("name", name); fields != nil {
		return fields
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return []apierr.FieldError{{
				Field: "name",
				Message: "must contain only letters a to z, digits, dots, hyphens and underscores, and begin with a " +
					"letter or digit: machines mount the volume at a path of that name.",
			}}
		}
	}
	return nil
}

func (s *Service) nameTaken(ctx context.Context, tx *db.Tx, account id.ID, name string) error {
	other, err := findName(ctx, tx, account, name)
	if err != nil {
		return err
	}
	return &apierr.Error{
		Code:    apierr.Conflict,
		Message: fmt.Sprintf("The volume %s already has the name %q. Choose another name.", other, name),
		Details: map[string]any{"volumeId": other},
	}
}

// insufficient returns INSUFFICIENT_BALANCE. A caller within a project does not learn the balance,
// which is the whole account's.
func insufficient(required, available money.Micros, to, within string) error {
	if within != "" {
		return &apierr.Error{
			Code:    apierr.InsufficientBalance,
			Message: fmt.Sprintf("Insufficient balance. You need at least %s available to %s.", required, to),
			Details: map[string]any{"required": required},
		}
	}
	return &apierr.Error{
		Code: apierr.InsufficientBalance,
		Message: fmt.Sprintf(
			"Insufficient balance. You need at least %s available to %s; you have %s.",
			required,
			to,
			available,
		),
		Details: map[string]any{"required": required, "available": available},
	}
}
