package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/osimage"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/quota"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/step"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

// The kinds of this package's jobs.
const (
	KindReconcile job.Kind = "deployment" // reconciles one deployment
	KindWatch     job.Kind = "watch"      // compares all machines of one provider
	// KindDowntime is enqueued for a deployment once a downtime of its machine has ended.
	KindDowntime job.Kind = "downtime"
	// KindHealth removes the key of a deployment's check, and checks its GPUs again.
	KindHealth job.Kind = "health"
)

// Config is what a Service needs. Every field is required.
type Config struct {
	DB        *db.DB
	IDs       *id.Maker
	Clock     clock.Clock
	Log       *slog.Logger
	Catalog   *catalog.Catalog
	SSHKeys   *sshkey.Service
	Images    *osimage.Service
	Volumes   *volume.Service
	Wallet    *wallet.Ledger
	Meter     *meter.Service
	Events    *event.Service
	Issues    *issue.Service
	Jobs      *job.Queue
	Providers *provider.Registry
	Quotes    *quote.Service
	// Probe connects to SSH and returns the host key that it shows; provider.ProbeSSH outside
	// tests.
	Probe func(ctx context.Context, at provider.Endpoint) (hostKey string, err error)
	// CheckGPUs and RemoveHealthKey log in to machines; Check and RemoveKey of a health.Checker
	// outside tests.
	CheckGPUs       func(ctx context.Context, req health.Request) (health.Result, error)
	RemoveHealthKey func(ctx context.Context, nodes []health.Target, key string) error
	// Secrets seals the host keys that machines are given, and the keys for checks.
	Secrets *secret.Box
}

// Service owns the deployments.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// Create accepts a deployment: in the caller's transaction the first hour is put on hold, the row
// and its event are written, and a job is enqueued that asks the provider. It returns
// INVALID_REQUEST with every problem, NOT_FOUND, OFFER_UNAVAILABLE, CONFLICT if the price is above
// maxHourlyPrice, INSUFFICIENT_BALANCE, ACCOUNT_SUSPENDED, QUOTA_EXCEEDED,
// BUDGET_EXCEEDED or SERVICE_UNAVAILABLE.
func (s *Service) Create(ctx context.Context, tx *db.Tx, account id.ID, req CreateRequest) (Deployment, error) {
	if !s.cfg.Catalog.Ready() {
		return Deployment{}, &apierr.Error{
			Code: apierr.ServiceUnavailable, RetryAfter: 30 * time.Second,
			Message: "The marketplace is temporarily unavailable. Try again shortly.",
		}
	}
	if err := accounts.Enter(ctx, tx, account); err != nil {
		return Deployment{}, err
	}
	c, err := s.check(ctx, tx, account, req, tx.Now)
	if err != nil {
		return Deployment{}, err
	}
	plans, passed, err := choose(c.offers, req.MaxHourlyPrice, seconds(tx.Now))
	if err != nil {
		return Deployment{}, err
	}
	r, err := s.newRow(account, req, c, plans, passed, seconds(tx.Now))
	if err != nil {
		return Deployment{}, err
	}
	hold, atLeast := r.hourlyPrice, least{}
	for _, p := range plans { // any of them may become the deployment's
		hold = max(hold, p.HourlyPrice)
		atLeast.add(p.HourlyPrice, time.Duration(p.MinimumMinutes)*time.Minute)
	}
	alerts, err := s.admit(ctx, tx, r, req, hold, atLeast.spend, plans)
	if err != nil {
		return Deployment{}, err
	}
	if req.DryRun {
		return s.dryRun(ctx, tx, r, hold, req.Within)
	}
	err = s.cfg.Wallet.Hold(ctx, tx, wallet.Hold{
		Account: account, Subject: r.id, Amount: hold, Minimum: MinimumBalance, Bound: atLeast.spend,
		Of: r.billed(), Labels: r.labels(),
		Description: fmt.Sprintf("%s: hold for the first hour of %s at %s/hr", r.name, r.hardware(), hold),
	})
	if e, is := errors.AsType[*wallet.InsufficientError](err); is {
		return Deployment{}, insufficient(hold, e.Available, req.Within)
	} else if err != nil {
		return Deployment{}, err
	}
	d, err := s.insert(ctx, tx, r, c, req.Quote)
	if err != nil || len(alerts) == 0 {
		return d, err
	}
	return d, s.cfg.Events.Append(ctx, tx, alerts...)
}

// admit returns QUOTA_EXCEEDED, KEY_LIMIT_REACHED or BUDGET_EXCEEDED, and else the events that the
// deployment causes by what it spends. Most accounts set no such rules: one read, with the account
// locked, says which there are. A rule that is set meanwhile is as if it were set afterwards; a
// budget waits for the account.
func (s *Service) admit(
	ctx context.Context, tx *db.Tx, r *row, req CreateRequest, price, atLeast money.Micros, plans []plan,
) ([]event.Event, error) {
	rules, err := db.Holding(ctx, tx, quota.Any(r.account), spendlimit.Any(req.Key), budget.Any(r.account))
	if err != nil {
		return nil, err
	}
	if rules[0] {
		if err := s.checkQuota(ctx, tx, r, price, plans); err != nil {
			return nil, err
		}
	}
	if rules[1] {
		if err := r.beginSpending(ctx, tx, req, price, plans); err != nil {
			return nil, err
		}
	}
	if !rules[2] {
		return nil, nil
	}
	return budget.Admit(ctx, tx, budget.Cost{
		Of: r.billed(), Amount: atLeast, Within: req.Within, DryRun: req.DryRun,
	})
}

// newRow returns the row of a deployment of the first plan.
func (s *Service) newRow(
	account id.ID, req CreateRequest, c checked, plans []plan, passed []Attempt, now time.Time,
) (*row, error) {
	p, configured := s.cfg.Providers.Get(plans[0].Provider)
	if !configured {
		return nil, fmt.Errorf(
			"offer %s is of provider %s, which is not configured",
			plans[0].OfferID,
			plans[0].Provider,
		)
	}
	r := &row{
		id: s.cfg.IDs.New(id.Deployment), account: account, name: req.Name, tags: c.tags,
		project: req.Project, createdBy: req.By,
		status: StatusPending, cause: CauseCreated, createdAt: now, launchBy: now.Add(plans[0].launchLimit(p)),
		authorizedKeys: c.keys, image: c.image, cloudInit: c.cloudInit, autoTerminateAt: c.autoTerminateAt,
		maxSpend: req.MaxSpend, maxRuntime: req.MaxRuntimeMinutes,
		attempts: append([]Attempt{}, passed...), plans: plans[1:],
		healthAccess: cmp.Or(req.HealthAccess, health.AccessLaunch),
	}
	r.setOffer(plans[0])
	r.steps = step.New(now, r.checksHealth())
	return r, nil
}

// dryRun returns the deployment that would be created, or INSUFFICIENT_BALANCE.
func (s *Service) dryRun(ctx context.Context, tx *db.Tx, r *row, hold money.Micros, within string) (Deployment, error) {
	w, err := s.cfg.Wallet.Get(ctx, tx, r.account)
	if err != nil {
		return Deployment{}, err
	}
	if w.Available < max(hold, MinimumBalance) {
		return Deployment{}, insufficient(hold, w.Available, within)
	}
	d := r.view()
	d.ID, d.DryRun, d.Estimate = "", true, r.estimate(hold)
	d.Estimate.BindingLimit, err = s.binding(ctx, tx, r, w.Available, within)
	return d, err
}

// insert writes a deployment whose money is on hold, with all that belongs to it.
func (s *Service) insert(ctx context.Context, tx *db.Tx, r *row, c checked, quoteID id.ID) (Deployment, error) {
	if quoteID != "" {
		if err := s.cfg.Quotes.Use(ctx, tx, r.account, quoteID, r.id); err != nil {
			return Deployment{}, err
		}
	}
	if err := insert(ctx, tx, r); err != nil {
		return Deployment{}, err
	}
	d := r.view()
	for _, v := range c.volumes {
		if _, err := s.cfg.Volumes.Attach(ctx, tx, r.account, v.ID, r.volumeTarget()); err != nil {
			return Deployment{}, err
		}
		d.VolumeIDs = append(d.VolumeIDs, v.ID)
	}
	data := map[string]any{"offerId": r.offerID, "hourlyPrice": r.hourlyPrice}
	if err := s.appendEvent(ctx, tx, r, "created", data); err != nil {
		return Deployment{}, err
	}
	crashpoint.Reach(crashpoint.CreateBeforeCommit)
	tx.AfterCommit(func() { crashpoint.Reach(crashpoint.CreateAfterCommit) })
	return d, s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindReconcile, r.id, tx.Now)
}

// insufficient returns INSUFFICIENT_BALANCE. A caller within a project does not learn the balance,
// which is the whole account's.
func insufficient(hour, available money.Micros, within string) error {
	required := max(hour, MinimumBalance)
	if within != "" {
		return &apierr.Error{
			Code:    apierr.InsufficientBalance,
			Message: fmt.Sprintf("Insufficient balance. You need at least %s to deploy.", required),
			Details: map[string]any{"required": required},
		}
	}
	e := &apierr.Error{
		Code:    apierr.InsufficientBalance,
		Message: fmt.Sprintf("Insufficient balance. You need at least %s to deploy.", MinimumBalance),
		Details: map[string]any{"available": available, "required": required},
	}
	if available >= MinimumBalance {
		e.Message = fmt.Sprintf("Insufficient balance. The first hour costs %s, but only %s is available. "+
			"Add funds or choose a cheaper offer.", hour, available)
	}
	return e
}

// CountByStatus returns how many deployments of all accounts have each status. It is for the
// operator.
func (s *Service) CountByStatus(ctx context.Context, r db.Reader) (map[Status]int64, error) {
	return countByStatus(ctx, r)
}

// ResourceCounts is how much a provider has of Billet's.
type ResourceCounts struct {
	Deployments int64 // that have not ended
	Machines    int64 // that were made and whose end is not confirmed
	// Unreleased are the deployments that have, or may have, a machine there, ended or not.
	Unreleased int64
	// Candidates are the deployments of which a further candidate is there.
	Candidates int64
}

// ResourceCounts returns how much each provider has of Billet's. It is for the operator.
func (s *Service) ResourceCounts(ctx context.Context, r db.Reader) (map[string]ResourceCounts, error) {
	counts, err := resourceCounts(ctx, r)
	if err != nil {
		return nil, err
	}
	candidates, err := candidatesAt(ctx, r)
	for slug, n := range candidates {
		c := counts[slug]
		c.Candidates = n
		counts[slug] = c
	}
	return counts, err
}

// Filter narrows a list. Zero fields do not.
type Filter struct {
	Statuses []Status
	Provider string
	Region   string
	GPUType  string
	Tag      string
	Project  string
	// CreatedBy is the id of a user or API key.
	CreatedBy id.ID
	Name      string    // the whole name, in any case
	Search    string    // part of the name, a tag, the address or the id, in any case
	Sort      []SortKey // the first counts most; newest first if there are none
}

// SortField is what deployments can be sorted by.
type SortField string

// Enum lists the fields.
func (SortField) Enum() []SortField {
	return []SortField{"createdAt", "name", "hourlyPrice", "costToDate"}
}

// SortKey is a SortField, with a leading hyphen for descending order.
type SortKey string

// Enum lists the keys.
func (SortKey) Enum() (keys []SortKey) {
	for _, f := range SortField("").Enum() {
		keys = append(keys, SortKey(f), SortKey("-"+f))
	}
	return keys
}

// List returns a page of the account's deployments, newest first unless the filter says otherwise,
// and how many there are.
func (s *Service) List(
	ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page,
) ([]Deployment, db.Listed, error) {
	rows, total, err := list(ctx, r, account, f, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	out := make([]Deployment, len(rows))
	for i := range rows {
		out[i] = rows[i].view()
	}
	return out, total, s.complete(ctx, r, out)
}

// CheckProject returns NOT_FOUND, as for a deployment that does not exist, unless the deployment is
// of the project.
func (s *Service) CheckProject(ctx context.Context, r db.Reader, account, deployment id.ID, project string) error {
	in, err := isIn(ctx, r, account, deployment, project)
	if err == nil && !in {
		err = errNotFound
	}
	return err
}

var errNotFound = apierr.New(apierr.NotFound, "No deployment has this id. List yours with GET /deployments.")

// Get returns one deployment, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, deployment id.ID) (Deployment, error) {
	x, err := s.get(ctx, r, account, deployment)
	if err != nil {
		return Deployment{}, err
	}
	return s.completed(ctx, r, &x)
}

func (s *Service) get(ctx context.Context, r db.Reader, account, deployment id.ID) (row, error) {
	x, found, err := find(ctx, r, account, deployment)
	if err == nil && !found {
		err = errNotFound
	}
	return x, err
}

// completed is the view of a row, completed.
func (s *Service) completed(ctx context.Context, r db.Reader, x *row) (Deployment, error) {
	one := []Deployment{x.view()}
	err := s.complete(ctx, r, one)
	return one[0], err
}

// complete fills in what other packages know, with one query each for the whole page.
func (s *Service) complete(ctx context.Context, r db.Reader, page []Deployment) error {
	if len(page) == 0 {
		return nil
	}
	ids := make([]id.ID, len(page))
	for i, d := range page {
		ids[i] = d.ID
	}
	costs, err := s.cfg.Meter.Costs(ctx, r, ids)
	if err != nil {
		return err
	}
	volumes, err := s.cfg.Volumes.AttachedTo(ctx, r, ids)
	if err != nil {
		return err
	}
	for i := range page {
		page[i].CostToDate = costs[page[i].ID]
		page[i].VolumeIDs = append([]id.ID{}, volumes[page[i].ID]...)
	}
	return nil
}

// Wait returns the deployment once it has that status, has ended, the time is up or the server
// stops, whichever is first. The timeout is real time: a client holds its connection open.
func (s *Service) Wait(
	ctx context.Context, account, deployment id.ID, want Status, timeout time.Duration,
) (Deployment, error) {
	until, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	changed, stop := s.cfg.Events.Watch(deployment)
	defer stop()
	for {
		d, err := s.Get(ctx, s.cfg.DB, account, deployment)
		if err != nil || d.Status == want || d.Status.Final() || until.Err() != nil {
			return d, err
		}
		// A token comes with each change in this process. Those of other replicas are polled for.
		poll, done := context.WithTimeout(until, time.Second)
		open := true
		select {
		case _, open = <-changed:
		case <-poll.Done():
		}
		done()
		if !open { // the server stops: what is known now is the answer
			return d, nil
		}
	}
}

// appendEvent appends an event of the deployment. Every event has its name and status.
func (s *Service) appendEvent(ctx context.Context, tx *db.Tx, r *row, what string, data map[string]any) error {
	data["name"], data["status"] = r.name, r.status
	return s.cfg.Events.Append(ctx, tx, event.Event{
		Account: r.account, Subject: r.id, Type: "deployment." + what, Data: data,
	})
}
