package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

const (
	// reportLimit is how long a deployment waits for a check that only reports.
	reportLimit = time.Minute
	// lastLimit is what the last attempt within reportLimit has at least.
	lastLimit = 15 * time.Second
	// maxCheckPause is the longest pause between two attempts to check a machine.
	maxCheckPause = time.Minute
	// confirmAfter is how long after a first check that failed the second one is due. Drivers, and
	// the fabric of GPUs, take that long to start.
	confirmAfter = 2 * time.Minute
	// busyGrace is how much longer than launchBy a launch waits while this server checks as many
	// other machines as it may.
	busyGrace = 10 * time.Minute
	// removalLimit is how long after the start the key of a check is removed. Then its private part
	// is deleted, which has the same effect.
	removalLimit = 24 * time.Hour
)

// What a tenant reads of GPUs that were not checked.
const (
	reasonNoWayIn   = "This offer takes one SSH key only, so Billet can't log in to check the GPUs."
	reasonManyWait  = "Too many other machines were being checked."
	reasonNoKey     = "Billet's key for this machine can't be opened."
	reasonUnchecked = "The GPUs couldn't be checked in time: "
	reasonGPUs      = "The GPUs failed the health check: "
	reasonAgain     = "A first check failed, so the GPUs are checked again: "
)

// Health is what is known of a deployment's GPUs, as the API shows it beside the deployment.
type Health struct {
	Policy    health.Policy     `json:"policy" doc:"Operator's policy for this offer when the deployment was created: off, report or require."`
	Access    health.Access     `json:"access" doc:"launch: Billet's key is removed before the deployment runs. keep: it stays, and checks can be requested."`
	Verdict   *gpucheck.Verdict `json:"verdict" doc:"Verdict of the newest check of this machine; null if there was none. not_checked says nothing about the GPUs."`
	Reason    *string           `json:"reason" doc:"Reason of the verdict; null if passed or not known."`
	CheckedAt *time.Time        `json:"checkedAt" doc:"Time of the newest check; null if there was none."`
	// KeyInstalled is whether Billet still has the private part of its key.
	KeyInstalled bool `json:"keyInstalled" doc:"Whether Billet can log in to the machine to check it. root on the machine can remove the key at any time."`
}

func healthKeyPurpose(deployment id.ID) string { return "health-key/" + string(deployment) }

// checksHealth reports whether the machine's GPUs are checked.
func (r *row) checksHealth() bool {
	return r.healthPolicy == health.Report || r.healthPolicy == health.Require
}

// viewHealth returns what the API shows.
func (r *row) viewHealth() Health {
	h := Health{
		Policy: cmp.Or(r.healthPolicy, health.Off), Access: cmp.Or(r.healthAccess, health.AccessLaunch),
		CheckedAt: r.healthCheckedAt, KeyInstalled: r.healthKeySealed != "",
	}
	if r.healthVerdict != "" {
		h.Verdict = &r.healthVerdict
	}
	if r.healthReason != "" {
		h.Reason = &r.healthReason
	}
	return h
}

// issueHealthKey returns the public key to launch the machine with beside the tenant's, so that its
// GPUs can be checked, which the first call makes and records; "" for none. A launch that is
// repeated has the same key.
func (s *Service) issueHealthKey(ctx context.Context, r *row) (string, error) {
	if !r.checksHealth() || r.capabilities.SingleKey {
		return "", nil
	}
	if r.healthKeyPublic == "" {
		key, err := provider.NewHostKey() // a pair of the same kind
		if err != nil {
			return "", err
		}
		r.healthKeyPublic = key.Public
		r.healthKeySealed = s.cfg.Secrets.Seal(healthKeyPurpose(r.id), []byte(key.Private))
		err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return guarded(setHealthKey(ctx, tx, r))
		})
		if err != nil {
			return "", err
		}
	}
	return r.healthKeyPublic + " billet-gpu-check", nil
}

// decideChecked is decide for a machine whose SSH answers: whether its GPUs are to be checked, and
// what follows from the verdict. A verdict is committed before anything follows from it.
func decideChecked(r *row, seen observation, now time.Time) decision {
	switch {
	case !r.checksHealth():
		return decision{kind: doStart}
	case r.healthVerdict == "":
		return decideCheck(r, seen, now)
	case r.healthPolicy == health.Require && r.healthVerdict == gpucheck.Failed:
		return abandon(r, CauseUnhealthy, provider.Plain(reasonGPUs+r.healthReason, maxDetail))
	case r.healthPolicy == health.Require && r.healthVerdict == gpucheck.NotChecked:
		return abandon(r, CauseNotChecked, provider.Plain(reasonUnchecked+r.healthReason, maxDetail))
	case r.healthAccess != health.AccessKeep && r.healthKeySealed != "" && !seen.keyRemoval:
		return decision{kind: doRemoveHealthKey}
	default:
		return decision{kind: doStart}
	}
}

// decideCheck is decide for a machine without a verdict. A machine that cannot be checked yet is
// tried again: cloud-init may not have installed the keys, or the driver, yet.
func decideCheck(r *row, seen observation, now time.Time) decision {
	since, begun := r.stepBegan(step.Checking)
	if !begun {
		since = now
	}
	by := r.launchBy
	if seen.health != nil && seen.health.Reason == reasonManyWait {
		by = by.Add(busyGrace)
	}
	if r.healthPolicy == health.Report {
		by = earlier(by, since.Add(reportLimit))
	}
	again := now // when to check
	if r.healthDoubtedAt != nil {
		again = r.healthDoubtedAt.Add(confirmAfter)
		if by.Before(again) {
			by = again
		}
	}
	switch {
	case r.healthKeySealed == "":
		return decision{kind: doRecordHealth, health: health.NotChecked(reasonNoWayIn)}
	case now.Before(again):
		return wait(again)
	case seen.health == nil:
		return decision{kind: doCheckHealth}
	case r.healthPolicy == health.Require && r.healthDoubtedAt == nil && seen.health.MayPass():
		return decision{kind: doDoubtHealth, health: *seen.health}
	case seen.health.Verdict != gpucheck.NotChecked || !now.Before(by),
		r.healthPolicy == health.Report && seen.health.Answered():
		return decision{kind: doRecordHealth, health: *seen.health}
	}
	pause := max(seen.info.PollEvery, min(now.Sub(since)/4, maxCheckPause))
	return decision{
		kind: doProgress, step: step.Checking, detail: seen.health.Reason, at: earlier(now.Add(pause), by),
	}
}

// stepBegan returns when the step began.
func (r *row) stepBegan(name string) (time.Time, bool) {
	for _, st := range r.steps {
		if st.Name == name && st.StartedAt != nil {
			return *st.StartedAt, true
		}
	}
	return time.Time{}, false
}

// checkHealth checks every node of a machine that was just launched.
func (s *Service) checkHealth(
	ctx context.Context, info provider.Info, r *row, m provider.Machine, shown []string,
) (*health.Result, error) {
	if _, begun := r.stepBegan(step.Checking); !begun {
		if err := s.progress(ctx, r, step.Checking, ""); err != nil {
			return nil, err
		}
	}
	machine := *r
	machine.setMachine(m)
	within := time.Duration(0)
	if since, begun := r.stepBegan(step.Checking); r.healthPolicy == health.Report && begun {
		within = max(lastLimit, reportLimit-s.cfg.Clock.Now().Sub(since))
	}
	if err := job.Holds(ctx); err != nil {
		return nil, err
	}
	found, err := s.runCheck(ctx, &machine, health.Request{
		Nodes: machine.healthTargets(info.PrivateAddresses, shown), Level: gpucheck.LevelQuick, Launch: true,
		Within: within,
	})
	crashpoint.Reach(crashpoint.HealthAfterCheck)
	if errors.Is(err, health.ErrBusy) {
		found, err = health.NotChecked(reasonManyWait), nil
	}
	return &found, err
}

// runCheck runs a check with the deployment's key, of what its offer states.
func (s *Service) runCheck(ctx context.Context, r *row, req health.Request) (health.Result, error) {
	key, err := s.cfg.Secrets.Open(healthKeyPurpose(r.id), r.healthKeySealed)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "the key of a GPU check cannot be opened", "deployment", r.id, "error", err)
		return health.NotChecked(reasonNoKey), nil
	}
	req.Account = r.account
	req.Key, req.Expected = string(key), r.expected(len(req.Nodes))
	return s.cfg.CheckGPUs(ctx, req)
}

// expected is what each of the nodes should have.
func (r *row) expected(nodes int) gpucheck.Expected {
	e := gpucheck.Expected{GPUType: r.gpuType, GPUMemoryGB: r.gpuMemory, Interconnect: r.interconnect}
	if nodes > 0 && r.gpuCount%nodes == 0 {
		e.GPUCount = r.gpuCount / nodes
	}
	return e
}

// healthTargets returns how to log in to the nodes. A node may show the host keys that the provider
// states or the deployment has, or the one that it has just shown.
func (r *row) healthTargets(private bool, shown []string) []health.Target {
	nodes := r.nodes
	if len(nodes) == 0 {
		nodes = []storedNode{{Address: r.address, Port: r.sshPort, Keys: r.sshHostKeys}}
	}
	out := make([]health.Target, len(nodes))
	for i, n := range nodes {
		out[i] = health.Target{
			User: r.sshUser, HostKeys: n.Keys, Endpoint: provider.Endpoint{
				Address: net.JoinHostPort(n.Address, strconv.Itoa(n.Port)), Private: private,
			},
		}
		if len(n.Keys) == 0 && i < len(shown) && shown[i] != "" {
			out[i].HostKeys = shown[i : i+1]
		}
	}
	return out
}

// recordHealth commits the verdict of the check of a machine that was just launched.
func (s *Service) recordHealth(ctx context.Context, r *row, found health.Result) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, exists, err := findAny(ctx, tx, r.id)
		if err != nil {
			return err
		}
		if !exists || fresh.status != StatusDeploying || fresh.offerID != r.offerID || fresh.healthVerdict != "" ||
			fresh.healthKeyPublic != r.healthKeyPublic {
			return errConflict
		}
		err = health.AddFinished(ctx, tx, health.Check{
			ID: s.cfg.IDs.New(id.GPUCheck), Deployment: r.id, OfferID: r.offerID, Level: gpucheck.LevelQuick,
			Trigger: health.AtLaunch,
		}, found)
		if err != nil {
			return err
		}
		err = s.takeVerdict(ctx, tx, &fresh, found, gpucheck.LevelQuick, health.AtLaunch)
		crashpoint.Reach(crashpoint.HealthBeforeCommit)
		tx.AfterCommit(func() { crashpoint.Reach(crashpoint.HealthAfterCommit) })
		return err
	})
}

// recordDoubt commits a check that failed because of what a machine that is still starting shows,
// too. It is no verdict: a second check decides.
func (s *Service) recordDoubt(ctx context.Context, r *row, found health.Result) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, exists, err := findAny(ctx, tx, r.id)
		if err != nil {
			return err
		}
		if !exists || fresh.offerID != r.offerID {
			return errConflict
		}
		at, detail := seconds(tx.Now), provider.Plain(reasonAgain+found.Reason, maxDetail)
		fresh.healthDoubtedAt, fresh.steps = &at, step.Begin(fresh.steps, step.Checking, detail, at)
		if err := guarded(setHealthDoubt(ctx, tx, &fresh)); err != nil {
			return err
		}
		err = health.AddFinished(ctx, tx, health.Check{
			ID: s.cfg.IDs.New(id.GPUCheck), Deployment: r.id, OfferID: r.offerID, Level: gpucheck.LevelQuick,
			Trigger: health.AtLaunch,
		}, found)
		if err != nil {
			return err
		}
		return s.appendEvent(ctx, tx, &fresh, "progress", map[string]any{"step": step.Checking, "detail": detail})
	})
}

// takeVerdict makes the result the deployment's newest one, with the event and the operator's issue
// that belong to it. A check that repeats the verdict of the one before has no event.
func (s *Service) takeVerdict(
	ctx context.Context, tx *db.Tx, r *row, found health.Result, level gpucheck.Level, by health.Trigger,
) error {
	before := r.healthVerdict
	at := seconds(tx.Now)
	r.healthVerdict, r.healthReason, r.healthCheckedAt = found.Verdict, found.Reason, &at
	if err := guarded(setHealth(ctx, tx, r)); err != nil {
		return err
	}
	if by != health.OnSchedule || found.Verdict != before {
		what := "health_checked"
		if found.Verdict == gpucheck.Failed {
			what = "health_failed"
		}
		data := map[string]any{"verdict": found.Verdict, "level": level, "trigger": by}
		if found.Reason != "" {
			data["reason"] = found.Reason
		}
		if err := s.appendEvent(ctx, tx, r, what, data); err != nil {
			return err
		}
	}
	if found.Verdict != gpucheck.Failed {
		return nil
	}
	seen := issue.GPUsFailed(r.id, r.machineID, found.Reason, by == health.AtLaunch)
	return s.cfg.Issues.Raise(ctx, tx, r.provider, seen)
}

// removeHealthKey removes the key of the check from a machine that does not run yet. A failure does
// not delay the start: CheckHealth retries it.
func (s *Service) removeHealthKey(
	ctx context.Context, info provider.Info, r *row, m provider.Machine, shown []string,
) error {
	machine := *r
	machine.setMachine(m)
	err := s.dropHealthKey(ctx, &machine, machine.healthTargets(info.PrivateAddresses, shown))
	r.healthKeySealed = machine.healthKeySealed
	if errors.Is(err, errNotRemoved) {
		s.cfg.Log.WarnContext(ctx, "the key of a GPU check was not removed from its machine; it is retried",
			"deployment", r.id, "error", err)
		return nil
	}
	return err
}

// forgetUpstream deletes the key of the check at a provider that keeps keys beyond their machines,
// once it has confirmed the machine's end. A key that stays is worthless, since its private part is
// deleted, so a failure is not repeated. A run that is killed here is.
func (s *Service) forgetUpstream(ctx context.Context, p provider.Provider, r *row) {
	forgetter, can := p.(provider.KeyForgetter)
	if !can || r.healthKeyPublic == "" || job.Holds(ctx) != nil {
		return
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	ask, done := provider.Begin(ask, p, provider.CallForgetKey)
	err := forgetter.ForgetKey(ask, r.healthKeyPublic)
	done(err)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "the key of a GPU check is left at its provider",
			"deployment", r.id, "provider", r.provider, "error", err)
	}
}

// errNotRemoved is a key that a machine still has, or may have.
var errNotRemoved = errors.New("deployment: the key was not removed")

// dropHealthKey removes the key from the nodes, and then forgets its private part. It returns
// errNotRemoved for what is wrong with the machine.
func (s *Service) dropHealthKey(ctx context.Context, r *row, nodes []health.Target) error {
	key, err := s.cfg.Secrets.Open(healthKeyPurpose(r.id), r.healthKeySealed)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotRemoved, err)
	}
	if err := job.Holds(ctx); err != nil {
		return err
	}
	if err := s.cfg.RemoveHealthKey(ctx, nodes, string(key)); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return fmt.Errorf("%w: %w", errNotRemoved, err)
	}
	crashpoint.Reach(crashpoint.HealthAfterRemoval)
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return forgetHealthKey(ctx, tx, r) })
	if err == nil {
		r.healthKeySealed = ""
	}
	return err
}
