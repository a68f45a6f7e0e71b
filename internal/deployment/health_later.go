package deployment

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

const (
	// checkEvery is how often the GPUs of a deployment are checked whose key is kept.
	checkEvery = 4 * time.Hour
	// checkLater is when a check is tried again that had to wait for others.
	checkLater = time.Minute
	// removeEvery is when the removal of a key is tried again.
	removeEvery = 10 * time.Minute
	// requestPause is how long after a check another one can be requested.
	requestPause = 2 * time.Minute
)

// laterKind is what CheckHealth does.
type laterKind string

const (
	laterNothing laterKind = "nothing"
	laterWait    laterKind = "wait"
	laterRemove  laterKind = "remove the key"
	laterForget  laterKind = "forget the key"
	laterCheck   laterKind = "check"
	laterRefuse  laterKind = "finish the requested check without one"
)

// later is what CheckHealth does, and when it goes on or why it cannot.
type later struct {
	kind   laterKind
	at     time.Time
	reason string
}

// decideLater returns what to do about the GPUs of a deployment that runs, or has ended. requested
// is whether a check was requested.
func decideLater(r *row, requested bool, now time.Time) later {
	switch {
	case !r.status.Alive() || r.healthKeySealed == "":
		if requested {
			const reason = "The deployment ended, or Billet no longer has a key for the machine."
			return later{kind: laterRefuse, reason: reason}
		}
		return later{kind: laterNothing}
	case r.healthAccess != health.AccessKeep && !now.Before(r.startedAt.Add(removalLimit)):
		return later{kind: laterForget}
	case r.status == StatusStopped && requested:
		return later{kind: laterRefuse, reason: "The machine is off."}
	case r.status == StatusStopped:
		return later{kind: laterWait, at: now.Add(checkEvery / 8)}
	case r.rescues() && requested:
		return later{kind: laterRefuse, reason: reasonRescue}
	case r.rescues(): // the rescue system has no drivers, and forgets which keys are removed
		return later{kind: laterWait, at: now.Add(checkEvery / 8)}
	case r.healthAccess != health.AccessKeep:
		return later{kind: laterRemove}
	case requested:
		return later{kind: laterCheck}
	}
	due := *r.startedAt
	if r.healthCheckedAt != nil {
		due = *r.healthCheckedAt
	}
	if due = due.Add(checkEvery); now.Before(due) {
		return later{kind: laterWait, at: due}
	}
	return later{kind: laterCheck}
}

// reasonRescue is why a machine in rescue is not checked.
const reasonRescue = "The machine runs its rescue system."

// rescues reports whether the machine runs its rescue system, or is about to.
func (r *row) rescues() bool { return r.rescue || r.action == ActionRescue }

// CheckHealth is the handler of KindHealth. It removes the key of a check that was only for the
// launch; with a key that is kept, it makes the checks that were requested, and one every few
// hours.
func (s *Service) CheckHealth(ctx context.Context, deployment id.ID) (job.Outcome, error) {
	r, found, err := findAny(ctx, s.cfg.DB, deployment)
	if err != nil || !found {
		return job.Done(), err
	}
	asked, requested, err := health.Pending(ctx, s.cfg.DB, deployment)
	if err != nil {
		return job.Outcome{}, err
	}
	if !requested {
		asked = health.Check{
			Deployment: r.id, OfferID: r.offerID, Level: gpucheck.LevelQuick, Trigger: health.OnSchedule,
		}
	}
	switch d := decideLater(&r, requested, s.cfg.Clock.Now()); d.kind {
	case laterWait:
		return job.At(d.at), nil
	case laterForget:
		return job.Done(), s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return forgetHealthKey(ctx, tx, &r)
		})
	case laterRemove:
		return s.removeLater(ctx, &r)
	case laterCheck:
		return s.checkLater(ctx, &r, asked)
	case laterRefuse:
		return s.now(), s.finishCheck(ctx, &r, asked, health.NotChecked(d.reason))
	default:
		return job.Done(), nil
	}
}

// machineTargets returns how to log in to the nodes of a deployment that runs.
func (s *Service) machineTargets(r *row) []health.Target {
	p, configured := s.cfg.Providers.Get(r.provider)
	return r.healthTargets(configured && p.Info().PrivateAddresses, nil)
}

// removeLater removes the key from a machine that runs. A failure is the machine's, and is retried.
func (s *Service) removeLater(ctx context.Context, r *row) (job.Outcome, error) {
	err := s.dropHealthKey(ctx, r, s.machineTargets(r))
	if !errors.Is(err, errNotRemoved) {
		return job.Done(), err
	}
	s.cfg.Log.WarnContext(ctx, "the key of a GPU check was not removed from its machine; it is retried",
		"deployment", r.id, "error", err)
	return job.At(s.cfg.Clock.Now().Add(removeEvery)), nil
}

// checkLater checks a machine that runs.
func (s *Service) checkLater(ctx context.Context, r *row, c health.Check) (job.Outcome, error) {
	if err := job.Holds(ctx); err != nil {
		return job.Outcome{}, err
	}
	found, err := s.runCheck(ctx, r, health.Request{Nodes: s.machineTargets(r), Level: c.Level})
	if errors.Is(err, health.ErrBusy) {
		return job.At(s.cfg.Clock.Now().Add(checkLater)), nil
	}
	if err != nil {
		return job.Outcome{}, err
	}
	return s.now(), s.finishCheck(ctx, r, c, found)
}

// finishCheck writes the result of a check of a machine that runs, or ended meanwhile.
func (s *Service) finishCheck(ctx context.Context, r *row, c health.Check, found health.Result) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, exists, err := findAny(ctx, tx, r.id)
		if err != nil || !exists {
			return err
		}
		if fresh.rescues() { // since the check began
			found = health.NotChecked(reasonRescue)
		}
		if c.ID == "" {
			c.ID = s.cfg.IDs.New(id.GPUCheck)
			err = health.AddFinished(ctx, tx, c, found)
		} else {
			var first bool
			if first, err = health.Finish(ctx, tx, c.ID, found); err == nil && !first {
				return nil // another run has finished it
			}
		}
		if err != nil || !fresh.status.Alive() {
			return err
		}
		return s.takeVerdict(ctx, tx, &fresh, found, c.Level, c.Trigger)
	})
}

// HealthReport is the checks of a deployment's GPUs.
type HealthReport struct {
	Health
	Latest *health.Check  `json:"latest" doc:"Newest check that is finished, of this machine or an earlier candidate; null if there is none."`
	Checks []health.Check `json:"checks" doc:"Newest 20 checks, newest first, including those of candidates that failed."`
}

// HealthOf returns the checks of the account's deployment. It returns NOT_FOUND.
func (s *Service) HealthOf(ctx context.Context, r db.Reader, account, deployment id.ID) (HealthReport, error) {
	x, err := s.get(ctx, r, account, deployment)
	if err != nil {
		return HealthReport{}, err
	}
	checks, err := health.List(ctx, r, deployment)
	out := HealthReport{Health: x.viewHealth(), Checks: checks}
	for i := range checks {
		if checks[i].FinishedAt != nil && out.Latest == nil {
			latest := checks[i]
			out.Latest = &latest
			continue
		}
		checks[i].Nodes = []health.Node{}
	}
	return out, err
}

// RequestHealthCheck has the GPUs of the account's running deployment checked. It returns
// NOT_FOUND, INVALID_REQUEST, RATE_LIMIT_EXCEEDED, or CONFLICT with the reason why Billet cannot
// check them.
func (s *Service) RequestHealthCheck(
	ctx context.Context, tx *db.Tx, account, deployment id.ID, level gpucheck.Level,
) (health.Check, error) {
	r, err := s.get(ctx, tx, account, deployment)
	if err != nil {
		return health.Check{}, err
	}
	level = cmp.Or(level, gpucheck.LevelQuick)
	if level != gpucheck.LevelQuick && level != gpucheck.LevelMedium {
		return health.Check{}, apierr.Invalid([]apierr.FieldError{{Field: "level", Message: "must be 1 or 2."}})
	}
	if err := r.mayCheck(); err != nil {
		return health.Check{}, err
	}
	if r.healthCheckedAt != nil && tx.Now.Before(r.healthCheckedAt.Add(requestPause)) {
		return health.Check{}, &apierr.Error{
			Code: apierr.RateLimitExceeded, RetryAfter: r.healthCheckedAt.Add(requestPause).Sub(tx.Now),
			Message: "The GPUs were checked a moment ago. See GET /deployments/{id}/health for the result.",
		}
	}
	c := health.Check{
		ID: s.cfg.IDs.New(id.GPUCheck), Deployment: r.id, OfferID: r.offerID, Level: level, Trigger: health.OnRequest,
	}
	added, err := health.Add(ctx, tx, &c)
	if err != nil {
		return health.Check{}, err
	}
	if !added {
		return health.Check{}, apierr.New(apierr.Conflict,
			"A check of this deployment's GPUs is in progress. Wait for its verdict in GET /deployments/{id}/health.")
	}
	return c, s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindHealth, r.id, tx.Now)
}

// mayCheck returns why a check cannot be requested.
func (r *row) mayCheck() error {
	reason := ""
	switch {
	case r.status != StatusRunning:
		return apierr.New(apierr.Conflict,
			"The deployment is %s. Its GPUs can be checked only while it is running.", r.status)
	case r.rescues():
		return apierr.New(apierr.Conflict,
			"The machine runs its rescue system. Its GPUs can be checked after that.")
	case r.healthKeySealed != "" && r.healthAccess == health.AccessKeep:
		return nil
	case !r.checksHealth():
		reason = "the operator's policy for this offer is off"
	case r.capabilities.SingleKey:
		reason = "this offer takes one SSH key only"
	default:
		reason = "its key was only for the launch. Deploy with healthAccess set to keep to check later"
	}
	return apierr.New(apierr.Conflict, "Billet has no key for this machine, because %s. "+
		"billet health --ssh checks a machine with your own key.", reason)
}
