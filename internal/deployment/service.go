package deployment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/step"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

// KindReconcile is the kind of the jobs that look at one deployment, KindWatch of those that look at all
// machines of one provider.
const (
	KindReconcile job.Kind = "deployment"
	KindWatch     job.Kind = "watch"
)

// Config is what a Service needs. Every field is required.
type Config struct {
	DB        *db.DB
	IDs       *id.Maker
	Clock     clock.Clock
	Log       *slog.Logger
	Catalog   *catalog.Catalog
	SSHKeys   *sshkey.Service
	Volumes   *volume.Service
	Wallet    *wallet.Ledger
	Meter     *meter.Service
	Events    *event.Service
	Issues    *issue.Service
	Jobs      *job.Queue
	Providers *provider.Registry
	Quotes    *quote.Service
	// Probe reports whether SSH answers, and with which host key; provider.ProbeSSH outside tests.
	Probe func(ctx context.Context, at provider.Endpoint) (hostKey string, err error)
	// Secrets seals the host keys that machines are given.
	Secrets *secret.Box
}

// Service owns the deployments.
type Service struct{ c Config }

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.DB == nil || c.IDs == nil || c.Clock == nil || c.Log == nil || c.Catalog == nil || c.SSHKeys == nil || c.Volumes == nil ||
		c.Wallet == nil || c.Meter == nil || c.Events == nil || c.Issues == nil || c.Jobs == nil || c.Providers == nil || c.Quotes == nil || c.Probe == nil || c.Secrets == nil {
		panic("deployment: New needs every field of its Config")
	}
	return &Service{c}
}

// Create accepts a deployment: in the caller's one transaction the first hour's money is set aside, the
// row and its event are written and a job is left behind that will ask the provider. It answers
// INVALID_REQUEST (every fault at once), NOT_FOUND, OFFER_UNAVAILABLE, CONFLICT (the price has risen above
// maxHourlyPrice), INSUFFICIENT_BALANCE or SERVICE_UNAVAILABLE.
func (s *Service) Create(ctx context.Context, tx *db.Tx, account id.ID, req CreateRequest) (Deployment, error) {
	if !s.c.Catalog.Ready() {
		return Deployment{}, &apierr.Error{Code: apierr.ServiceUnavailable, Message: "The GPU marketplace does not answer at the moment; try again in a little while.", RetryAfter: 30 * time.Second}
	}
	c, err := s.check(ctx, tx, account, req, tx.Now)
	if err != nil {
		return Deployment{}, err
	}
	now := tx.Now.Truncate(time.Second)
	plans, passed, err := choose(c, req.MaxHourlyPrice, now)
	if err != nil {
		return Deployment{}, err
	}
	p, known := s.c.Providers.Get(plans[0].Provider)
	if !known {
		return Deployment{}, fmt.Errorf("offer %s is of provider %s, which is not configured", plans[0].OfferID, plans[0].Provider)
	}
	r := row{
		Deployment: Deployment{
			ID: s.c.IDs.New(id.Deployment), Account: account, Name: req.Name, Status: StatusPending, StatusCause: CauseCreated, VolumeIDs: []id.ID{}, Tags: c.tags,
			Steps: step.New(now), Attempts: append([]Attempt{}, passed...), AutoTerminateAt: c.auto, CreatedAt: now,
		},
		keys: c.keys, cloudInit: c.cloud, hostKeys: []string{}, launchBy: now.Add(plans[0].launchLimit(p)), plans: plans[1:],
	}
	r.take(plans[0])
	hold := r.HourlyPrice
	for _, p := range plans { // whichever it comes to
		hold = max(hold, p.HourlyPrice)
	}
	if err := s.begin(ctx, tx, &r, req, hold, plans); err != nil {
		return Deployment{}, err
	}
	if req.DryRun {
		w, err := s.c.Wallet.Get(ctx, tx, account)
		if err != nil {
			return Deployment{}, err
		}
		if w.Available < max(hold, MinimumBalance) {
			return Deployment{}, insufficient(hold, w.Available)
		}
		r.ID, r.DryRun = "", true
		r.finish()
		return r.Deployment, nil
	}
	err = s.c.Wallet.Hold(ctx, tx, wallet.Hold{
		Account: account, Subject: r.ID, Amount: hold, Minimum: MinimumBalance, Labels: r.labels(),
		Description: fmt.Sprintf("%s: hold for the first hour of %s at %s/h", r.Name, r.hardware(), hold),
	})
	if e := (*wallet.InsufficientError)(nil); errors.As(err, &e) {
		return Deployment{}, insufficient(hold, e.Available)
	} else if err != nil {
		return Deployment{}, err
	}
	if req.Quote != "" {
		if err := s.c.Quotes.Use(ctx, tx, account, req.Quote, r.ID); err != nil {
			return Deployment{}, err
		}
	}
	if err := insert(ctx, tx, r); err != nil {
		return Deployment{}, err
	}
	for _, v := range c.volumes {
		if _, err := s.c.Volumes.Attach(ctx, tx, account, v.ID, volume.Target{Deployment: r.ID, Provider: r.Provider, Region: r.Region}); err != nil {
			return Deployment{}, err
		}
		r.VolumeIDs = append(r.VolumeIDs, v.ID)
	}
	if err := s.tell(ctx, tx, r, "created", map[string]any{"offerId": r.OfferID, "hourlyPrice": r.HourlyPrice}); err != nil {
		return Deployment{}, err
	}
	r.finish()
	crashpoint.Reach(crashpoint.CreateBeforeCommit)
	tx.AfterCommit(func() { crashpoint.Reach(crashpoint.CreateAfterCommit) })
	return r.Deployment, s.c.Jobs.Enqueue(ctx, tx, r.Account, KindReconcile, r.ID, tx.Now)
}

func insufficient(hour, available money.Micros) error {
	e := &apierr.Error{Code: apierr.InsufficientBalance, Details: map[string]any{"available": available, "required": max(hour, MinimumBalance)}}
	if available < MinimumBalance {
		e.Message = fmt.Sprintf("Insufficient balance. You need at least %s to deploy.", MinimumBalance)
	} else {
		e.Message = fmt.Sprintf("Insufficient balance. The first hour costs %s and %s is available; add money or choose a cheaper offer.", hour, available)
	}
	return e
}

// CountByStatus returns how many deployments of all accounts have each status that any has. It is for the operator.
func (s *Service) CountByStatus(ctx context.Context, r db.Reader) (map[Status]int64, error) {
	return countByStatus(ctx, r)
}

// Presence is what a provider has of ours.
type Presence struct {
	// Deployments have not ended; Machines were made, and their end is not confirmed.
	Deployments, Machines int64
}

// Presences returns what each provider that has anything of ours has. It is for the operator.
func (s *Service) Presences(ctx context.Context, r db.Reader) (map[string]Presence, error) {
	return presences(ctx, r)
}

// Filter narrows a list; zero fields do not.
type Filter struct {
	Statuses []Status
	Provider string
	Region   string
	Tag      string
	Search   string // in the name, whatever the case
	Order    db.Order
}

// List returns a page of the account's deployments, newest first unless the filter says otherwise, and how many there are.
func (s *Service) List(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Deployment, db.Listed, error) {
	rows, total, err := list(ctx, r, account, f, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	out := make([]Deployment, len(rows))
	for i := range rows {
		out[i] = rows[i].Deployment
	}
	return out, total, s.complete(ctx, r, out)
}

// Get returns one deployment, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, deployment id.ID) (Deployment, error) {
	x, err := s.get(ctx, r, account, deployment)
	if err != nil {
		return Deployment{}, err
	}
	return s.completed(ctx, r, x)
}

func (s *Service) get(ctx context.Context, r db.Reader, account, deployment id.ID) (row, error) {
	x, found, err := find(ctx, r, account, deployment)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no deployment with this id; GET /deployments lists yours.")
	}
	return x, err
}

func (s *Service) completed(ctx context.Context, r db.Reader, x row) (Deployment, error) {
	one := []Deployment{x.Deployment}
	err := s.complete(ctx, r, one)
	return one[0], err
}

// complete fills in what other rooms know, with one query each for the whole page.
func (s *Service) complete(ctx context.Context, r db.Reader, page []Deployment) error {
	if len(page) == 0 {
		return nil
	}
	ids := make([]id.ID, len(page))
	for i, d := range page {
		ids[i] = d.ID
	}
	costs, err := s.c.Meter.Costs(ctx, r, ids)
	if err != nil {
		return err
	}
	volumes, err := s.c.Volumes.AttachedTo(ctx, r, ids)
	if err != nil {
		return err
	}
	for i := range page {
		page[i].CostToDate = costs[page[i].ID]
		page[i].VolumeIDs = append([]id.ID{}, volumes[page[i].ID]...)
	}
	return nil
}

// UpdateRequest changes what a tenant may change; nil leaves a field as it is.
type UpdateRequest struct {
	// Key is the API key that asks, whose allowance counts; "" for a user.
	Key             id.ID
	Name            *string
	Tags            *[]string
	AutoTerminateAt *time.Time
	// ClearAutoTerminateAt takes the planned end back, also one that `DELETE ?when=earliest` made.
	ClearAutoTerminateAt  bool
	TerminationProtection *bool
}

// Update changes a deployment. It answers INVALID_REQUEST, NOT_FOUND, or CONFLICT for a planned end of what has ended.
func (s *Service) Update(ctx context.Context, tx *db.Tx, account, deployment id.ID, u UpdateRequest) (Deployment, error) {
	x, err := s.get(ctx, tx, account, deployment)
	if err != nil {
		return Deployment{}, err
	}
	f := &faults{}
	if u.Name != nil {
		f.fields = append(f.fields, apierr.CheckName("name", *u.Name)...)
		x.Name = *u.Name
	}
	if u.Tags != nil {
		x.Tags = checkTags(f, *u.Tags)
	}
	if u.AutoTerminateAt != nil {
		x.AutoTerminateAt = checkAutoTerminate(f, *u.AutoTerminateAt, tx.Now, slices.MaxFunc([]time.Time{tx.Now, x.TerminableAt}, time.Time.Compare))
	} else if u.ClearAutoTerminateAt {
		x.AutoTerminateAt = nil
	}
	if u.TerminationProtection != nil {
		x.TerminationProtection = *u.TerminationProtection
	}
	if err := f.err(); err != nil {
		return Deployment{}, err
	}
	ended := x.Status.Final() || x.Status == StatusTerminating
	if ended && (u.AutoTerminateAt != nil || u.TerminationProtection != nil) {
		return Deployment{}, apierr.New(apierr.Conflict, "This deployment is %s; only its name and tags can be changed.", x.Status)
	}
	if err := update(ctx, tx, x, u.Tags != nil); err != nil {
		return Deployment{}, err
	}
	if err := s.mayLengthen(ctx, tx, x, u); err != nil {
		return Deployment{}, err
	}
	if err := x.spends(ctx, tx, u.Key); err != nil {
		return Deployment{}, err
	}
	if u.Name != nil && x.Status.Alive() { // the bill names what it is for, from the next hour on
		if err := s.c.Meter.Reprice(ctx, tx, x.ID, x.HourlyPrice, x.labels(), x.hardware()); err != nil {
			return Deployment{}, err
		}
	}
	if err := s.tell(ctx, tx, x, "updated", map[string]any{"name": x.Name, "tags": x.Tags, "autoTerminateAt": x.AutoTerminateAt, "terminationProtection": x.TerminationProtection}); err != nil {
		return Deployment{}, err
	}
	if due, planned := x.terminateDue(); planned && !ended {
		if err := s.c.Jobs.Enqueue(ctx, tx, x.Account, KindReconcile, x.ID, due); err != nil {
			return Deployment{}, err
		}
	}
	return s.completed(ctx, tx, x)
}

// Terminate ends a deployment: the tenant's time, and bill, end with the accepted request; the machine ends in
// the background. What has ended already succeeds again and changes nothing. Before the minimum runtime it
// answers MINIMUM_RUNTIME_NOT_MET, or with earliest plans the end for then and answers queued.
func (s *Service) Terminate(ctx context.Context, tx *db.Tx, account, deployment id.ID, earliest bool) (d Deployment, queued bool, err error) {
	x, err := s.get(ctx, tx, account, deployment)
	if err != nil {
		return Deployment{}, false, err
	}
	if x.Status.Final() || x.Status == StatusTerminating {
		d, err = s.completed(ctx, tx, x)
		return d, false, err
	}
	if x.TerminationProtection {
		return Deployment{}, false, apierr.New(apierr.Conflict, "This deployment is protected from termination; PATCH it with terminationProtection false first.")
	}
	if wait := x.TerminableAt.Sub(tx.Now); wait > 0 {
		if !earliest {
			return Deployment{}, false, tooEarly(x, wait)
		}
		x.AutoTerminateAt = &x.TerminableAt
		if err := update(ctx, tx, x, false); err != nil {
			return Deployment{}, false, err
		}
		if err := s.tell(ctx, tx, x, "termination_queued", map[string]any{"at": x.TerminableAt}); err != nil {
			return Deployment{}, false, err
		}
		if err := s.c.Jobs.Enqueue(ctx, tx, x.Account, KindReconcile, x.ID, x.TerminableAt); err != nil {
			return Deployment{}, false, err
		}
		d, err = s.completed(ctx, tx, x)
		return d, true, err
	}
	if err := s.beginEnd(ctx, tx, &x, CauseRequested, "", tx.Now); err != nil {
		return Deployment{}, false, err
	}
	tx.AfterCommit(func() { crashpoint.Reach(crashpoint.TerminateAfterCommit) })
	d, err = s.completed(ctx, tx, x)
	return d, false, err
}

func tooEarly(x row, wait time.Duration) error {
	minutes := int64(math.Ceil(wait.Minutes()))
	unit := "minutes"
	if minutes == 1 {
		unit = "minute"
	}
	return &apierr.Error{
		Code: apierr.MinimumRuntimeNotMet, RetryAfter: wait,
		Message: fmt.Sprintf("Deployments run for at least %d minutes. You can terminate this one in %d %s, or queue that now with DELETE ?when=earliest.", int(x.minimumRuntime.Minutes()), minutes, unit),
		Details: map[string]any{"remainingSeconds": seconds(wait), "terminableAt": x.TerminableAt},
	}
}

func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// EndForPastDue ends every deployment of the account that has not ended yet, whatever its
// minimum runtime or protection. It returns how many.
func (s *Service) EndForPastDue(ctx context.Context, tx *db.Tx, account id.ID) (int, error) {
	rows, err := unended(ctx, tx, account)
	if err != nil {
		return 0, err
	}
	for i := range rows {
		if err := s.beginEnd(ctx, tx, &rows[i], CausePastDue, "The account's balance stayed below zero for longer than the grace period.", tx.Now); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// CanTerminate tells whether, and at what cost, a deployment could be terminated now.
func (s *Service) CanTerminate(ctx context.Context, r db.Reader, account, deployment id.ID) (CanTerminate, error) {
	x, err := s.get(ctx, r, account, deployment)
	if err != nil {
		return CanTerminate{}, err
	}
	now := s.c.Clock.Now()
	out := CanTerminate{TerminableAt: x.TerminableAt}
	reason := ""
	switch wait := x.TerminableAt.Sub(now); {
	case x.Status.Final() || x.Status == StatusTerminating:
		reason = fmt.Sprintf("The deployment is %s already.", x.Status)
	case wait > 0:
		out.RemainingSeconds = seconds(wait)
		reason = fmt.Sprintf("The minimum runtime of %d minutes has not passed yet.", int(x.minimumRuntime.Minutes()))
	case x.TerminationProtection:
		reason = "The deployment is protected from termination."
	default:
		out.CanTerminate = true
	}
	if reason != "" {
		out.Reason = &reason
	}
	switch {
	case x.Status.Alive():
		out.Refund, err = s.c.Meter.Preview(ctx, r, x.ID, now.Truncate(time.Second), meter.FirstHour)
	case x.Status == StatusPending || x.Status == StatusDeploying:
		out.Release, err = s.c.Wallet.Held(ctx, r, x.ID)
	}
	return out, err
}

// Wait returns the deployment once it has that status, has ended, the time is up or the server stops, whichever is first.
// The time-out is real time: somebody waits at the other end of a connection.
func (s *Service) Wait(ctx context.Context, account, deployment id.ID, want Status, timeout time.Duration) (Deployment, error) {
	until, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	changed, stop := s.c.Events.Watch(deployment)
	defer stop()
	for {
		d, err := s.Get(ctx, s.c.DB, account, deployment)
		if err != nil || d.Status == want || d.Status.Final() || until.Err() != nil {
			return d, err
		}
		// A token comes with each change in this process; another replica's is found by looking.
		look, again := context.WithTimeout(until, time.Second)
		open := true
		select {
		case _, open = <-changed:
		case <-look.Done():
		}
		again()
		if !open { // the server stops: what is known now is the answer
			return d, nil
		}
	}
}

// tell appends an event of the deployment; every event says the status.
func (s *Service) tell(ctx context.Context, tx *db.Tx, x row, what string, data map[string]any) error {
	data["name"], data["status"] = x.Name, x.Status
	return s.c.Events.Append(ctx, tx, event.Event{Account: x.Account, Subject: x.ID, Type: "deployment." + what, Data: data})
}

func (r *row) labels() wallet.Labels {
	return wallet.Labels{Provider: r.Provider, Region: r.Region, GPUType: r.GPUType, Name: r.Name}
}

// hardware is what the hour is paid for, in words.
func (r *row) hardware() string { return fmt.Sprintf("%d × %s", r.GPUCount, r.GPUType) }
