package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/rest"
)

// priceRules are the operator's rules of what offers cost tenants.
type priceRules struct {
	db       *db.DB
	svc      *pricerule.Service
	catalog  *catalog.Catalog
	accounts *account.Service
}

func (h priceRules) routes(r *rest.Router) {
	const all, one = OperatorBase + "/price-rules", OperatorBase + "/price-rules/{id}"
	op := func(method, path, id, summary, description string, scope account.Scope) rest.Operation {
		return rest.Operation{
			Method: method, Path: path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly, Scope: string(scope),
			Summary: summary, Description: description,
		}
	}
	const read, write = account.ReadOperator, account.WriteOperator
	const soon = "Every server uses it within seconds. Quotes and deployments keep their prices. "
	rest.List(r, op(http.MethodGet, all, "listPriceRules", "List price rules",
		"In their order. The first rule that matches an offer and an account decides the price, in place of all "+
			"markups. Where none matches, the markups apply.", read), h.list)
	create := op(http.MethodPost, all, "createPriceRule", "Create a price rule", soon+
		"It prices each matching offer in this order: the provider's price plus `percent`, plus `fixedPerGpu` for "+
		"each GPU, at least `floorPerGpu` for each GPU, rounded up to a multiple of `roundUpTo`. Volumes have no "+
		"price rules.", write)
	create.Status, create.Errors = http.StatusCreated, []apierr.Code{apierr.LimitReached}
	rest.Write(r, create, h.create)
	rest.ReadVersioned(r, op(http.MethodGet, one, "getPriceRule", "Get a price rule", "", read), h.get)
	rest.Write(r, op(http.MethodPatch, one, "updatePriceRule", "Update a price rule",
		soon+"A new `position` moves it.", write), h.update)
	rest.Write(r, op(http.MethodDelete, one, "deletePriceRule", "Delete a price rule",
		soon+"Returns the deleted rule.", write), h.remove)
	preview := op(http.MethodPost, all+"/preview", "previewPriceRule", "Preview a price rule",
		"Which offers the rule changes, at the prices of its account, or else at the default ones. Without an id "+
			"it is a new rule. With an id and other fields it is that rule after the change. With an id alone it "+
			"compares with prices without that rule. Nothing is stored.", write)
	preview.Errors, preview.Rate = []apierr.Code{apierr.NotFound}, rest.AsRead
	rest.Write(r, preview, h.preview)
}

// priceRule is a price rule as the operator sees it.
type priceRule struct {
	ID          id.ID        `json:"id" doc:"Id of the rule, prl_…"`
	Position    int64        `json:"position" doc:"Place in the order, from 1. The first rule that matches decides."`
	Provider    *string      `json:"provider" doc:"Slug of the provider that it is for; null for all."`
	GPUType     *string      `json:"gpuType" doc:"GPU type that it is for, such as NVIDIA B200; null for all."`
	Region      *string      `json:"region" doc:"Slug of the region that it is for; null for all."`
	AccountID   *id.ID       `json:"accountId" doc:"Id of the account that it is for; null for all."`
	Percent     percent      `json:"percent" doc:"Added to the provider's price, in percent; below zero it is a discount."`
	FixedPerGPU money.Micros `json:"fixedPerGpu" doc:"Added for each GPU, in US dollars an hour; below zero it is a discount."`
	FloorPerGPU money.Micros `json:"floorPerGpu" doc:"Lowest price for each GPU in US dollars an hour."`
	RoundUpTo   money.Micros `json:"roundUpTo" doc:"Amount in US dollars that the price of the whole offer is rounded up to a multiple of; 0 if it is not rounded."`
	Hidden      bool         `json:"hidden" doc:"Whether the offers are neither listed nor deployable."`
	CreatedAt   time.Time    `json:"createdAt" doc:"When it was created."`
	ChangedAt   time.Time    `json:"changedAt" doc:"When it was last changed. Moving another rule does not count."`
}

func priceRuleOf(r pricerule.Rule) priceRule {
	return priceRule{
		ID: r.ID, Position: r.Position, Provider: textOrNull(r.Provider), GPUType: textOrNull(r.GPUType),
		Region: textOrNull(r.Region), AccountID: textOrNull(r.Account), Percent: percent(r.Percent),
		FixedPerGPU: r.FixedPerGPU, FloorPerGPU: r.FloorPerGPU, RoundUpTo: r.RoundUpTo, Hidden: r.Hidden,
		CreatedAt: r.CreatedAt, ChangedAt: r.ChangedAt,
	}
}

// textOrNull returns nil for the empty text.
func textOrNull[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}

// PriceRuleFields are a price rule, or a change of one. The name is exported because fields of an
// embedded type are documented only then.
type PriceRuleFields struct {
	Position    *int64                 `json:"position,omitempty" minimum:"1" maximum:"200" doc:"Place in the order, from 1; the last if omitted or beyond that."`
	Provider    rest.SetOrNull[string] `json:"provider,omitempty" maxLength:"128" doc:"Slug of a provider; null for all."`
	GPUType     rest.SetOrNull[string] `json:"gpuType,omitempty" maxLength:"128" doc:"GPU type, such as NVIDIA B200; null for all."`
	Region      rest.SetOrNull[string] `json:"region,omitempty" maxLength:"128" doc:"Slug of a region; null for all."`
	AccountID   rest.SetOrNull[string] `json:"accountId,omitempty" maxLength:"40" doc:"Id of an account; null for all."`
	Percent     *percent               `json:"percent,omitempty" minimum:"-100" maximum:"1000" doc:"Added to the provider's price, in percent; 0 if omitted."`
	FixedPerGPU *money.Micros          `json:"fixedPerGpu,omitempty" minimum:"-1000" maximum:"1000" doc:"Added for each GPU, in US dollars an hour; 0 if omitted."`
	FloorPerGPU *money.Micros          `json:"floorPerGpu,omitempty" minimum:"0" maximum:"1000" doc:"Lowest price for each GPU in US dollars an hour; 0 if omitted."`
	RoundUpTo   *money.Micros          `json:"roundUpTo,omitempty" minimum:"0" maximum:"100" doc:"Round the price of the whole offer up to a multiple of this amount in US dollars; 0, the default, for no rounding."`
	Hidden      *bool                  `json:"hidden,omitempty" doc:"Hide the offers; all prices of the rule must be 0."`
}

// empty reports whether no field is given.
func (b PriceRuleFields) empty() bool {
	return b.Position == nil && !b.Provider.Given && !b.GPUType.Given && !b.Region.Given && !b.AccountID.Given &&
		b.Percent == nil && b.FixedPerGPU == nil && b.FloorPerGPU == nil && b.RoundUpTo == nil && b.Hidden == nil
}

// change returns the rule with the given fields.
func (b PriceRuleFields) change(r pricerule.Rule) pricerule.Rule {
	set(&r.Position, b.Position)
	setText(&r.Provider, b.Provider)
	setText(&r.GPUType, b.GPUType)
	setText(&r.Region, b.Region)
	if b.AccountID.Given {
		var of string
		set(&of, b.AccountID.Value)
		r.Account = id.ID(of)
	}
	if b.Percent != nil {
		r.Percent = int64(*b.Percent)
	}
	set(&r.FixedPerGPU, b.FixedPerGPU)
	set(&r.FloorPerGPU, b.FloorPerGPU)
	set(&r.RoundUpTo, b.RoundUpTo)
	set(&r.Hidden, b.Hidden)
	return r
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func setText(to *string, from rest.SetOrNull[string]) {
	if from.Given {
		*to = ""
		set(to, from.Value)
	}
}

type priceRulePath struct {
	ID id.ID `path:"id" doc:"Id of the rule, prl_…"`
}

type createPriceRule struct{ Body PriceRuleFields }

type updatePriceRule struct {
	priceRulePath
	Body PriceRuleFields
}

// Check refuses an update without a field.
func (in *updatePriceRule) Check() []apierr.FieldError { return someField(!in.Body.empty()) }

type previewPriceRule struct {
	Body struct {
		ID id.ID `json:"id,omitempty" doc:"Id of a stored rule; a new one if omitted."`
		PriceRuleFields
	}
}

// priceRulePreview is what a rule does to the offers.
type priceRulePreview struct {
	Offers   int           `json:"offers" doc:"Number of all offers."`
	Matching int           `json:"matching" doc:"Number of offers that the rule is for."`
	Decided  int           `json:"decided" doc:"Number of these that no earlier rule decides about."`
	Changed  int           `json:"changed" doc:"Number of offers whose price or visibility changes."`
	Changes  []priceChange `json:"changes" doc:"The first 100 of these, by id."`
}

// priceChange is an offer that a rule changes.
type priceChange struct {
	OfferID     id.ID         `json:"offerId" doc:"Id of the offer."`
	Provider    string        `json:"provider" doc:"Slug of its provider."`
	Region      string        `json:"region" doc:"Slug of its region."`
	GPUType     string        `json:"gpuType" doc:"GPU type."`
	GPUCount    int           `json:"gpuCount" doc:"Number of GPUs."`
	Cost        money.Micros  `json:"cost" doc:"Provider's price in US dollars an hour."`
	PriceBefore *money.Micros `json:"priceBefore" doc:"Price without the change in US dollars an hour; null if it is hidden."`
	PriceAfter  *money.Micros `json:"priceAfter" doc:"Price with the change in US dollars an hour; null if it is hidden."`
}

// maxPreviewed is how many changes a preview lists.
const maxPreviewed = 100

func (h priceRules) list(ctx context.Context, _ *rest.Call, _ *rest.Paging, p db.Page) ([]priceRule, db.Listed, error) {
	stored, err := h.svc.List(ctx, h.db)
	if err != nil {
		return nil, db.Listed{}, err
	}
	var all []priceRule
	for _, r := range stored {
		all = append(all, priceRuleOf(r))
	}
	return rest.Slice(all, func(r priceRule) string { return string(r.ID) }, p)
}

func (h priceRules) get(ctx context.Context, r db.Reader, _ *rest.Call, in *priceRulePath) (priceRule, error) {
	rule, err := h.svc.Get(ctx, r, in.ID)
	return priceRuleOf(rule), err
}

func (h priceRules) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createPriceRule) (priceRule, error) {
	r := in.Body.change(pricerule.Rule{})
	if err := h.known(ctx, tx, r); err != nil {
		return priceRule{}, err
	}
	r, err := h.svc.Add(ctx, tx, r)
	c.Created(r.ID)
	h.changed(c, tx)
	return priceRuleOf(r), err
}

func (h priceRules) update(ctx context.Context, tx *db.Tx, c *rest.Call, in *updatePriceRule) (priceRule, error) {
	before, err := h.svc.Get(ctx, tx, in.ID)
	if err != nil {
		return priceRule{}, err
	}
	r := in.Body.change(before)
	if err := h.known(ctx, tx, r); err != nil {
		return priceRule{}, err
	}
	r, err = h.svc.Change(ctx, tx, r)
	c.Change.Subject = in.ID
	h.changed(c, tx)
	return priceRuleOf(r), err
}

func (h priceRules) remove(ctx context.Context, tx *db.Tx, c *rest.Call, in *priceRulePath) (priceRule, error) {
	r, err := h.svc.Remove(ctx, tx, in.ID)
	c.Change.Subject = in.ID
	h.changed(c, tx)
	return priceRuleOf(r), err
}

func (h priceRules) preview(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *previewPriceRule,
) (priceRulePreview, error) {
	c.Change.None = true
	before, err := h.svc.List(ctx, tx)
	if err != nil {
		return priceRulePreview{}, err
	}
	rule := pricerule.Rule{ID: in.Body.ID}
	if rule.ID != "" {
		if rule, err = h.svc.Get(ctx, tx, rule.ID); err != nil {
			return priceRulePreview{}, err
		}
	}
	rule = in.Body.change(rule)
	if err := h.known(ctx, tx, rule); err != nil {
		return priceRulePreview{}, err
	}
	if err := h.svc.Check(rule); err != nil {
		return priceRulePreview{}, err
	}
	after := before.With(rule)
	if rule.ID != "" && in.Body.empty() {
		before = before.Without(rule.ID)
	}
	effect := h.catalog.Preview(rule, before, after)
	out := priceRulePreview{
		Offers: effect.Offers, Matching: effect.Matching, Decided: effect.Decided, Changed: len(effect.Changes),
		Changes: []priceChange{},
	}
	for _, one := range effect.Changes[:min(len(effect.Changes), maxPreviewed)] {
		o := one.Offer
		out.Changes = append(out.Changes, priceChange{
			OfferID: o.ID, Provider: o.Provider, Region: o.Region, GPUType: o.GPUType, GPUCount: o.GPUCount,
			Cost: o.CostPrice, PriceBefore: one.Before, PriceAfter: one.After,
		})
	}
	return out, nil
}

// known refuses a rule for an account that does not exist. Providers, GPU types and regions may
// come later.
func (h priceRules) known(ctx context.Context, r db.Reader, rule pricerule.Rule) error {
	if rule.Account == "" {
		return nil
	}
	_, err := h.accounts.Get(ctx, r, rule.Account)
	if err != nil && apierr.CodeOf(err) == apierr.NotFound {
		return apierr.Invalid([]apierr.FieldError{{
			Field: "accountId", Message: "is not the id of an account. List accounts with GET /operator/accounts.",
		}})
	}
	return err
}

// reloadLimit is how long a change waits for its own server to use it.
const reloadLimit = 10 * time.Second

// changed makes this server use a change once it is committed. If that fails, it does so within
// seconds, as other servers do.
func (h priceRules) changed(c *rest.Call, tx *db.Tx) {
	outer := context.WithoutCancel(c.Request.Context()) // not the one of the transaction
	tx.AfterCommit(func() {
		ctx, cancel := context.WithTimeout(outer, reloadLimit)
		defer cancel()
		_ = h.catalog.Load(ctx)
	})
}
