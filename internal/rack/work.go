package rack

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/sshhost"
)

// KindMachine is the job that does what is to be done with a machine. Its subject is the machine.
const KindMachine job.Kind = "rack-machine"

// maxSteps is how many steps one run does: a run that finds more to do leaves it to the next.
const maxSteps = 8

const (
	// maxCalls is how many BMCs a process calls at once: when a switch of the management network
	// fails, all are slow, and the workers are needed for other jobs, too.
	maxCalls = 4
	// callsFull is how long a step waits for others that call BMCs.
	callsFull = 10 * time.Second
	// callLimit is how long a step may take.
	callLimit = 6 * time.Minute
)

// ISOPath is where the agent's image for a job is served, followed by the token and ".iso".
const ISOPath = "/agent/v1/iso/"

// errMoved means that a machine is no longer in the state that a step was decided for. The step has
// no effect, and the next one is decided.
var errMoved = errors.New("rack: the machine has moved on")

// enqueue has the next step with the machine done as soon as the transaction has committed.
func (s *Service) enqueue(ctx context.Context, tx *db.Tx, of id.ID) error {
	return s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindMachine, of, tx.Now)
}

// keep writes what changed of a machine that keeps its state.
func (s *Service) keep(ctx context.Context, tx *db.Tx, m Machine) error {
	kept, err := put(ctx, tx, m, m.State)
	if err == nil && !kept {
		err = errMoved
	}
	return err
}

// Work does the next steps with a machine. It is the handler of KindMachine. The BMC is called
// outside of transactions, and everything that is done there may be done again.
func (s *Service) Work(ctx context.Context, of id.ID) (job.Outcome, error) {
	for range maxSteps {
		var m Machine
		var j *agentJob
		var found bool
		err := s.cfg.DB.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			if m, found, err = find(ctx, tx, of); err == nil && found {
				j, err = findJob(ctx, tx, of)
			}
			return err
		})
		if err != nil || !found {
			return job.Done(), err
		}
		d := decide(m, j, s.cfg.Clock.Now(), s.since)
		switch d.step {
		case stepNone:
			return job.Done(), nil
		case stepWait:
			return job.At(d.at), nil
		}
		again, err := s.limited(ctx, d, m, j)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return job.Done(), errors.Join(err, s.note(ctx, m, err))
		}
		if !again.IsZero() {
			return job.At(again), nil
		}
	}
	return job.At(s.cfg.Clock.Now()), nil
}

// limited does one step within the limits of what calls BMCs.
func (s *Service) limited(ctx context.Context, d decision, m Machine, j *agentJob) (time.Time, error) {
	if d.step == stepBegin || d.step == stepFail {
		return s.do(ctx, d, m, j)
	}
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
	default:
		return s.cfg.Clock.Now().Add(callsFull), nil
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return s.do(ctx, d, m, j)
}

// do does one step. It returns when to go on, zero for at once.
func (s *Service) do(ctx context.Context, d decision, m Machine, j *agentJob) (again time.Time, err error) {
	switch d.step {
	case stepBegin:
		return again, s.begin(ctx, m, d.kind)
	case stepBoot:
		return again, s.boot(ctx, m, *j)
	case stepFail:
		text := "the agent did not report in time"
		if j.served() {
			text = "the rescue system has run as long as it may"
		}
		return again, s.fail(ctx, m, *j, CauseTimedOut, text)
	case stepEnd:
		return again, s.end(ctx, m, *j)
	case stepRotate:
		return again, s.rotate(ctx, m)
	case stepValidate:
		return again, s.validate(ctx, m)
	case stepCut:
		return again, s.cut(ctx, m)
	case stepPower:
		return s.power(ctx, m)
	case stepWatch:
		return again, s.watch(ctx, m)
	case stepOff:
		return again, s.off(ctx, m)
	}
	return again, fmt.Errorf("rack: unknown step %q", d.step)
}

// note shows the operator what keeps a machine from going on. An unreachable BMC changes nothing
// else.
func (s *Service) note(ctx context.Context, m Machine, trouble error) error {
	if errors.Is(trouble, job.ErrLost) || ctx.Err() != nil {
		return nil
	}
	text := "Will be retried: " + problemOf(trouble)
	if _, is := errors.AsType[*bmc.Error](trouble); is {
		text = "The BMC does not do what is needed, which will be retried: " + problemOf(trouble)
	}
	if e, is := errors.AsType[*sshhost.Error](trouble); is {
		text = "The machine cannot be used by SSH, which will be retried: " + plain(e.Message)
	}
	return s.change(ctx, m, func(_ context.Context, _ *db.Tx, m *Machine) error {
		m.Detail = text
		return nil
	})
}

// problemOf returns an error as the operator reads it.
func problemOf(err error) string {
	if e, is := errors.AsType[*bmc.Error](err); is {
		return plain(e.Message)
	}
	return plain(err.Error())
}

// change changes a machine that is still as it was when a step was decided, without its state.
func (s *Service) change(
	ctx context.Context, was Machine, f func(ctx context.Context, tx *db.Tx, m *Machine) error,
) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, err := s.still(ctx, tx, was)
		if err != nil {
			return err
		}
		if err := f(ctx, tx, &m); err != nil {
			return err
		}
		return s.keep(ctx, tx, m)
	})
}

// still reads a machine that has not moved on; errMoved if it has.
func (s *Service) still(ctx context.Context, tx *db.Tx, was Machine) (Machine, error) {
	m, found, err := find(ctx, tx, was.ID)
	if err == nil && (!found || m.State != was.State || !m.StateAt.Equal(was.StateAt) || m.tenancy != was.tenancy ||
		m.installs != was.installs || (m.DeploymentID == nil) != (was.DeploymentID == nil)) {
		err = errMoved
	}
	return m, err
}

// current reads a job that no other has replaced, and that has not had its effect; errMoved if not.
func current(ctx context.Context, tx *db.Tx, was agentJob) (agentJob, error) {
	j, err := findJob(ctx, tx, was.Machine)
	if err != nil {
		return agentJob{}, err
	}
	if j == nil || j.ID != was.ID || j.Closed {
		return agentJob{}, errMoved
	}
	return *j, nil
}

// begin enters a job for the agent, in place of the last one.
func (s *Service) begin(ctx context.Context, was Machine, kind rackagent.Kind) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := s.still(ctx, tx, was); err != nil {
			return err
		}
		return putJob(ctx, tx, agentJob{
			Machine: was.ID, ID: s.cfg.IDs.New(id.RackJob), Kind: kind, CreatedAt: tx.Now,
		})
	})
}

// newToken returns a token of an agent, and what is kept of it.
func newToken() (token, hash string) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, hashOf(token)
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// boot starts the machine from the agent's image, with a new token: one that an earlier run sent is
// no longer valid.
func (s *Service) boot(ctx context.Context, m Machine, j agentJob) error {
	server, has := s.cfg.Server()
	if !has {
		return errors.New("this server does not serve machines: start it with --racks-listen and --racks-url")
	}
	if m.OverSSH() {
		return s.bootHost(ctx, m, j, server)
	}
	token, j, err := s.renew(ctx, m, j)
	if err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.RackBootBeforeCall)
	if err := s.start(ctx, m, server.URL+ISOPath+token+".iso"); err != nil {
		return errors.Join(s.revoke(ctx, j), s.refused(ctx, m, j, err))
	}
	crashpoint.Reach(crashpoint.RackBootAfterCall)
	return s.booted(ctx, j, hashOf(token))
}

// renew gives a job a new token, and forgets what an earlier agent has said.
func (s *Service) renew(ctx context.Context, m Machine, j agentJob) (string, agentJob, error) {
	token, hash := newToken()
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := s.still(ctx, tx, m); err != nil {
			return err
		}
		now, err := current(ctx, tx, j)
		if err != nil {
			return err
		}
		now.forget()
		now.TokenHash = &hash
		j = now
		return s.save(ctx, tx, now)
	})
	return token, j, err
}

// forget drops the token of a job and all that was said with it, so that the agent is started
// again.
func (j *agentJob) forget() {
	if j.BootedAt == nil && j.ClaimedAt != nil {
		j.Attempts++ // the start was not confirmed, and the agent may have done something
	}
	j.Hardware, j.Erasure = nil, nil
	j.TokenHash, j.BootedAt, j.ClaimedAt, j.HeardAt = nil, nil, nil, nil
	j.Number, j.Phase, j.Progress, j.Outcome, j.Error = 0, "", 0, "", ""
}

// booted keeps that the machine was started with that token.
func (s *Service) booted(ctx context.Context, j agentJob, hash string) error {
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, err := current(ctx, tx, j)
		if err != nil {
			return err
		}
		if now.TokenHash == nil || *now.TokenHash != hash {
			return errMoved
		}
		now.BootedAt = &tx.Now
		now.Attempts++
		return s.save(ctx, tx, now)
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackBootAfterCommit)
	}
	return err
}

func (s *Service) save(ctx context.Context, tx *db.Tx, j agentJob) error {
	saved, err := saveJob(ctx, tx, j)
	if err == nil && !saved {
		err = errMoved
	}
	return err
}

// revoke ends the token of a start that failed, and drops what was said with it: whatever runs on
// the machine then is not the agent.
func (s *Service) revoke(ctx context.Context, was agentJob) error {
	if ctx.Err() != nil {
		return nil // the next start has a new token
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, found, err := find(ctx, tx, was.Machine); err != nil || !found {
			return err
		}
		now, err := current(ctx, tx, was)
		if errors.Is(err, errMoved) || err == nil && (now.TokenHash == nil || *now.TokenHash != *was.TokenHash) {
			return nil
		}
		if err != nil {
			return err
		}
		now.forget()
		return s.save(ctx, tx, now)
	})
}

// changedError says what a tenant may have changed on a machine, so that no agent is started on it.
type changedError struct{ text string }

func (e *changedError) Error() string { return e.text }

// unchanged fails if Secure Boot is not as it was when the machine was inspected: firmware that
// starts other programs may start the tenant's instead of the agent, and give it the agent's token.
func unchanged(ctx context.Context, b *bmc.BMC, m Machine) error {
	if m.State == Inspecting || m.Hardware == nil {
		return nil
	}
	before := bmc.SecureBoot(m.Hardware.SecureBoot)
	if before != bmc.SecureBootOn && before != bmc.SecureBootOff {
		return nil
	}
	now, err := b.SecureBoot(ctx)
	switch {
	case err != nil:
		return err
	case now == bmc.SecureBootUnknown:
		return errors.New("the BMC does not report Secure Boot, which it did at the inspection")
	case now != before:
		return &changedError{fmt.Sprintf("Secure Boot was %s when the machine was inspected and is %s: set it as it "+
			"was, start the machine once, and release it", before, now)}
	}
	return nil
}

// start switches a machine off and on, from the image at the URL. One that switched itself on in
// between has started its drive, and is switched off by the next try.
func (s *Service) start(ctx context.Context, m Machine, url string) error {
	b, err := s.open(ctx, m)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.SetPower(ctx, bmc.PowerOff); err != nil {
		return err
	}
	if err := unchanged(ctx, b, m); err != nil {
		return err
	}
	if err := b.BootCD(ctx, url); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.RackBootBeforePowerOn)
	return b.SetPower(ctx, bmc.ColdStart)
}

// refusedFor is how long a BMC may refuse to start the agent: one that starts itself says that it
// has no such thing.
const refusedFor = time.Hour

// refused ends a job that the BMC cannot do. One that does not answer, or does not accept our
// password, is asked again: that says nothing of the machine, and its tenant keeps it.
func (s *Service) refused(ctx context.Context, m Machine, j agentJob, err error) error {
	if e, is := errors.AsType[*changedError](err); is {
		return s.fail(ctx, m, j, CauseFailed, e.text)
	}
	e, is := errors.AsType[*bmc.Error](err)
	if !is || e.Kind == bmc.KindUnreachable || e.Kind == bmc.KindUnauthorized && m.State != Inspecting {
		return err
	}
	if e.Kind == bmc.KindUnsupported && j.Attempts > 0 {
		return err // it has done it before
	}
	if e.Kind != bmc.KindUnauthorized && s.cfg.Clock.Now().Sub(j.CreatedAt) < refusedFor {
		return err
	}
	return s.fail(ctx, m, j, CauseFailed, "the BMC cannot start the agent: "+plain(e.Message))
}

// fail ends a job without success.
func (s *Service) fail(ctx context.Context, was Machine, j agentJob, cause Cause, text string) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, err := s.still(ctx, tx, was)
		if err != nil {
			return err
		}
		now, err := current(ctx, tx, j)
		if err == nil && (j.ClaimedAt == nil && now.ClaimedAt != nil || !j.served() && now.served()) {
			err = errMoved // an agent has just asked for it, or serves it
		}
		if err != nil {
			return err
		}
		return s.failed(ctx, tx, m, now, cause, text)
	})
}

func (s *Service) failed(ctx context.Context, tx *db.Tx, m Machine, j agentJob, cause Cause, text string) error {
	j.Closed = true
	if err := s.save(ctx, tx, j); err != nil {
		return err
	}
	text = reason([]string{text})
	switch {
	case j.served():
		return s.expire(ctx, tx, m, text)
	case j.Kind == rackagent.Rescue:
		return s.leaveRescue(ctx, tx, m, text)
	}
	switch m.State {
	case Assigned, Draining:
		m.tenancy, m.Detail = Failed, text
		l, err := s.openLaunch(m)
		if err != nil {
			return err
		}
		if m.installs > 1 {
			m.notReinstalled(j, l, tx.Now)
		}
		return s.keep(ctx, tx, m)
	case Erasing:
		if err := recordErasure(ctx, tx, record(j, m, text, tx.Now)); err != nil {
			return err
		}
	}
	return s.move(ctx, tx, &m, cause, text)
}

// end applies what the agent has done.
func (s *Service) end(ctx context.Context, m Machine, j agentJob) error {
	crashpoint.Reach(crashpoint.RackEndBeforeCall)
	inv, err := s.settle(ctx, m, j)
	if err != nil {
		return err
	}
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, err := s.still(ctx, tx, m)
		if err != nil {
			return err
		}
		j, err := current(ctx, tx, j)
		if err != nil {
			return err
		}
		if err := s.apply(ctx, tx, m, j, inv); err != nil {
			return err
		}
		crashpoint.Reach(crashpoint.RackEndBeforeCommit)
		return nil
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackEndAfterCommit)
	}
	return err
}

// settle leaves the machine without the agent's image: switched off, or starting what was
// installed. Of an inspection it returns what the BMC knows. An agent on a machine without a BMC
// restarts it, and startDisk does all of this after a rescue.
func (s *Service) settle(ctx context.Context, m Machine, j agentJob) (inv bmc.Inventory, err error) {
	if m.OverSSH() {
		return inventoryOf(j.Hardware), nil
	}
	if j.Kind == rackagent.Rescue {
		return inv, nil
	}
	b, err := s.open(ctx, m)
	if err != nil {
		return inv, err
	}
	defer b.Close()
	if j.Kind != rackagent.Deploy || j.Outcome != rackagent.Done {
		if err := b.SetPower(ctx, bmc.PowerOff); err != nil {
			return inv, err
		}
	}
	if err := b.EjectCD(ctx); err != nil {
		return inv, err
	}
	if j.Kind == rackagent.Inspect {
		inv, err = b.Inventory(ctx)
	}
	return inv, err
}

func (s *Service) apply(ctx context.Context, tx *db.Tx, m Machine, j agentJob, inv bmc.Inventory) error {
	if j.Kind == rackagent.Erase {
		return s.erased(ctx, tx, m, j)
	}
	if j.Kind == rackagent.Deploy && j.Outcome == rackagent.Done {
		m.system = systemTenants // its image is on the drive, whatever else is wrong
	}
	if m.finishing(&j) {
		j.Closed, m.Detail = true, "" // its deployment has ended: the drives are erased next
		if err := s.save(ctx, tx, j); err != nil {
			return err
		}
		return s.keep(ctx, tx, m)
	}
	if j.Kind == rackagent.Rescue {
		text := ""
		if j.Outcome != rackagent.Done {
			text = reason([]string{agentFailed + j.Error})
		}
		j.Closed = true
		if err := s.save(ctx, tx, j); err != nil {
			return err
		}
		return s.leaveRescue(ctx, tx, m, text)
	}
	if j.Outcome != rackagent.Done {
		return s.failed(ctx, tx, m, j, CauseFailed, agentFailed+j.Error)
	}
	if j.Kind == rackagent.Deploy {
		return s.installed(ctx, tx, m, j)
	}
	if j.Hardware == nil {
		return s.failed(ctx, tx, m, j, CauseFailed, "the agent did not say what hardware it has when it started")
	}
	j.Closed = true
	if err := s.save(ctx, tx, j); err != nil {
		return err
	}
	h := hardwareOf(inv, *j.Hardware, tx.Now)
	m.Hardware = &h
	if !m.Unerased {
		return s.move(ctx, tx, &m, CauseInspected, "")
	}
	// Only what is certainly the machine that was entered is erased.
	if problems := m.compare(inv); len(problems) > 0 {
		return s.move(ctx, tx, &m, CauseFailed, reason(problems))
	}
	return s.move(ctx, tx, &m, CauseErase, "")
}

// installed applies an installation.
func (s *Service) installed(ctx context.Context, tx *db.Tx, m Machine, j agentJob) error {
	if m.Hardware == nil {
		return s.failed(ctx, tx, m, j, CauseFailed, "the hardware of the machine is not known")
	}
	problems := m.Hardware.another(j.Hardware)
	if len(problems) == 0 && m.installs == 1 {
		problems = m.Hardware.lost(*j.Hardware) // a tenant who has the machine already keeps it
	}
	if len(problems) > 0 {
		return s.failed(ctx, tx, m, j, CauseFailed, reason(problems))
	}
	j.Closed = true
	if err := s.save(ctx, tx, j); err != nil {
		return err
	}
	m.tenancy, m.Detail, m.watchedAt = Running, "", &tx.Now
	return s.keep(ctx, tx, m)
}

// erased applies an erasure: the machine is clean only if every drive was erased by its serial
// number. It is sold only if all its other parts are there, too.
func (s *Service) erased(ctx context.Context, tx *db.Tx, m Machine, j agentJob) error {
	if wrong := judge(m, j, tx.Now); wrong != "" {
		return s.failed(ctx, tx, m, j, CauseFailed, wrong)
	}
	j.Closed = true
	if err := s.save(ctx, tx, j); err != nil {
		return err
	}
	if err := recordErasure(ctx, tx, record(j, m, "", tx.Now)); err != nil {
		return err
	}
	m.Unerased, m.Destroyed, m.Hardware = false, []DestroyedDrive{}, m.Hardware.withSizes(drivesOf(*j.Hardware))
	if m.OverSSH() {
		m.system, m.launch = systemIdle, ""
	}
	if m.Retiring {
		m.Retiring = false
		return s.move(ctx, tx, &m, CauseRetired, "")
	}
	if lost := m.Hardware.lost(*j.Hardware); len(lost) > 0 {
		return s.move(ctx, tx, &m, CauseFailed, "every drive was erased; "+reason(lost))
	}
	return s.move(ctx, tx, &m, CauseErased, "")
}

// validate compares the machine with what is for sale.
func (s *Service) validate(ctx context.Context, was Machine) error {
	inv, err := s.inventory(ctx, was)
	if err != nil {
		return s.silent(ctx, was, err)
	}
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, err := s.still(ctx, tx, was)
		if err != nil {
			return err
		}
		if problems := m.compare(inv); len(problems) > 0 {
			return s.move(ctx, tx, &m, CauseFailed, reason(problems))
		}
		m = m.complete()
		err = s.move(ctx, tx, &m, CausePassed, "")
		crashpoint.Reach(crashpoint.RackValidateBeforeCommit)
		return err
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackValidateAfterCommit)
	}
	return err
}
