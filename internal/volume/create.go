package volume

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/billetcloud/billet/internal/wallet"
)

// CreateRequest asks for a volume.
type CreateRequest struct {
	// Key is the API key that asks, whose allowance counts; "" for a user.
	Key id.ID
	// Name is 1 to 64 letters, digits, dots, hyphens and underscores, the first a letter or digit: machines mount it at a path of that name.
	Name string
	// SizeGB is in decimal GB.
	SizeGB           int64
	Provider, Region string
}

// Create makes a volume, in the background, and sets the price of its first hour aside. It answers
// INVALID_REQUEST with every fault, CONFLICT where the account has a volume of that name, INSUFFICIENT_BALANCE
// where less than the first hour is available, SERVICE_UNAVAILABLE while no provider answers.
func (s *Service) Create(ctx context.Context, tx *db.Tx, account id.ID, req CreateRequest) (Volume, error) {
	if !s.c.Catalog.Ready() {
		return Volume{}, &apierr.Error{Code: apierr.ServiceUnavailable, Message: "No provider answers at the moment. Try again in a minute.", RetryAfter: time.Minute}
	}
	req.Provider, req.Region = strings.ToLower(req.Provider), strings.ToLower(req.Region) // as every slug is, and as filters take them
	price, faults := s.checkPlace(account, req)
	faults = append(checkName(req.Name), faults...)
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return Volume{}, err
	}
	now := tx.Now.Truncate(time.Second)
	r := record{
		id: s.c.IDs.New(id.Volume), account: account, name: req.Name, sizeGB: req.SizeGB, wantedGB: req.SizeGB, provider: req.Provider, region: req.Region,
		perGBHour: price.PerGBHour, costPerGB: price.CostPrice, status: StatusCreating, createdAt: now, since: tx.Now,
	}
	if made, err := insert(ctx, tx, r); err != nil {
		return Volume{}, err
	} else if !made {
		return Volume{}, s.nameTaken(ctx, tx, account, req.Name)
	}
	if req.Key != "" {
		if _, err := spendlimit.Begin(ctx, tx, req.Key, spendlimit.Use{Subject: r.id, HourlyPrice: r.hourly(), From: now}); err != nil {
			return Volume{}, err
		}
	}
	err := s.c.Wallet.Hold(ctx, tx, wallet.Hold{
		Account: account, Subject: r.id, Amount: r.hourly(), Labels: r.labels(),
		Description: fmt.Sprintf("%s: first hour of a %d GB volume", r.name, r.sizeGB),
	})
	if short := (*wallet.InsufficientError)(nil); errors.As(err, &short) {
		return Volume{}, insufficient(short.Required, short.Available, fmt.Sprintf("create this volume (its first hour: %d GB at %s per GB)", r.sizeGB, r.perGBHour))
	} else if err != nil {
		return Volume{}, err
	}
	if err := s.tell(ctx, tx, r, "created"); err != nil {
		return Volume{}, err
	}
	return r.volume(0), s.c.Jobs.Enqueue(ctx, tx, r.account, KindVolume, r.id, tx.Now)
}

// checkPlace finds the price of the volume, or every fault in provider, region and size.
func (s *Service) checkPlace(account id.ID, req CreateRequest) (catalog.VolumePrice, []apierr.FieldError) {
	var places, regions []string
	var price catalog.VolumePrice
	for _, p := range s.c.Catalog.For(account).VolumePricing() {
		if !slices.Contains(places, p.Provider) {
			places = append(places, p.Provider)
		}
		if p.Provider == req.Provider {
			regions = append(regions, p.Region)
			if p.Region == req.Region {
				price = p
			}
		}
	}
	var faults []apierr.FieldError
	add := func(field, format string, args ...any) {
		faults = append(faults, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	p, known := s.c.Providers.Get(req.Provider)
	_, keeps := p.(provider.VolumeProvider)
	switch {
	case req.Provider == "":
		add("provider", "is missing; these have volumes: %s.", listed(places))
	case !known:
		add("provider", "there is no provider %.80q; these have volumes: %s.", req.Provider, listed(places))
	case !keeps:
		add("provider", "%s has no volumes; these have: %s.", req.Provider, listed(places))
	}
	switch {
	case req.Region == "":
		add("region", "is missing%s.", regionsHint(req.Provider, regions))
	case keeps && price.PerGBHour == 0:
		add("region", "%s has no volumes in %.80q%s.", req.Provider, req.Region, regionsHint(req.Provider, regions))
	}
	switch {
	case req.SizeGB < 1:
		add("sizeGb", "must be a whole number of GB, at least 1.")
	case price.PerGBHour > 0 && (req.SizeGB < price.MinSizeGB || req.SizeGB > price.MaxSizeGB):
		add("sizeGb", "a volume of %s in %s has %d to %d GB.", req.Provider, req.Region, price.MinSizeGB, price.MaxSizeGB)
	}
	return price, faults
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none at the moment"
	}
	return strings.Join(names, ", ")
}

func regionsHint(slug string, regions []string) string {
	if len(regions) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s has them in: %s", slug, strings.Join(regions, ", "))
}

// checkName is the rule for all names, and that a volume's name can be a folder of a machine.
func checkName(name string) []apierr.FieldError {
	if faults := apierr.CheckName("name", name); faults != nil {
		return faults
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return []apierr.FieldError{{Field: "name", Message: "may have letters a to z, digits, dots, hyphens and underscores, the first a letter or a digit: a machine mounts the volume at a path of that name."}}
		}
	}
	return nil
}

func (s *Service) nameTaken(ctx context.Context, tx *db.Tx, account id.ID, name string) error {
	other, err := findName(ctx, tx, account, name)
	if err != nil {
		return err
	}
	return &apierr.Error{Code: apierr.Conflict, Message: fmt.Sprintf("You have a volume with the name %q already: %s. Choose another name.", name, other),
		Details: map[string]any{"volumeId": other}}
}

func insufficient(required, available money.Micros, to string) error {
	return &apierr.Error{
		Code:    apierr.InsufficientBalance,
		Message: fmt.Sprintf("Insufficient balance. You need at least %s available to %s; you have %s.", required, to, available),
		Details: map[string]any{"required": required, "available": available},
	}
}
