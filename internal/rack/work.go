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
		return again, s.fail(ctx, m, *j, CauseTimedOut, "the agent did not report in time")
	case stepEnd:
		return again, s.end(ctx, m, *j)
	case stepValidate:
		return again, s.validate(ctx, m)
	case stepCut:
		return again, s.cut(ctx, m)
	case stepPower:
		return s.power(ctx, m)
	case stepWatch:
		return again, s.watch(ctx, m)
	}
	return again, fmt.Errorf("rack: unknown step %q", d.step)
}

// note shows the operator what keeps a machine from going on. An unreachable BMC changes nothing
// else.
func (s *Service) note(ctx context.Context, m Machine, trouble error) error {
	if errors.Is(trouble, job.ErrLost) || ctx.Err() != nil {
		return nil
	}
	text := "Will be retried: " + plain(trouble.Error())
	if e, is := errors.AsType[*bmc.Error](trouble); is {
		text = "The BMC does not do what is needed, which will be retried: " + plain(e.Message)
	}
	return s.change(ctx, m, func(_ context.Context, _ *db.Tx, m *Machine) error {
		m.Detail = text
		return nil
	})
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

// open connects to the machine's BMC.
func (s *Service) open(ctx context.Context, m Machine) (*bmc.BMC, error) {
	password, err := s.cfg.Secrets.Open(purpose(m.ID), m.sealed)
	if err != nil {
		return nil, fmt.Errorf("the password of the BMC of %s cannot be decrypted; set it again: %w", m.Name, err)
	}
	if err := job.Holds(ctx); err != nil {
		return nil, err
	}
	return s.cfg.Open(ctx, bmc.Address{
		URL: m.BMCURL, User: m.BMCUser, Password: string(password), CertificateSHA256: m.BMCCertificate,
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
	token, hash := newToken()
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := s.still(ctx, tx, m); err != nil {
			return err
		}
		now, err := current(ctx, tx, j)
		if err != nil {
			return err
		}
		now.TokenHash, now.BootedAt, now.ClaimedAt, now.HeardAt = &hash, nil, nil, nil
		now.Number, now.Phase, now.Progress, now.Outcome, now.Error = 0, "", 0, "", ""
		j = now
		return s.save(ctx, tx, now)
	})
	if err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.RackBootBeforeCall)
	if err := s.start(ctx, m, server.URL+ISOPath+token+".iso"); err != nil {
		return s.refused(ctx, m, j, err)
	}
	crashpoint.Reach(crashpoint.RackBootAfterCall)
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
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

// start switches a machine off and on, from the image at the URL.
func (s *Service) start(ctx context.Context, m Machine, url string) error {
	b, err := s.open(ctx, m)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.SetPower(ctx, bmc.PowerOff); err != nil {
		return err
	}
	if err := b.BootCD(ctx, url); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.RackBootBeforePowerOn)
	return b.SetPower(ctx, bmc.PowerOn)
}

// refused ends a job that the BMC cannot do. One that does not answer, or does not accept our
// password, is asked again: that says nothing of the machine, and its tenant keeps it.
func (s *Service) refused(ctx context.Context, m Machine, j agentJob, err error) error {
	e, is := errors.AsType[*bmc.Error](err)
	if !is || e.Kind == bmc.KindUnreachable || e.Kind == bmc.KindUnauthorized && m.State != Inspecting {
		return err
	}
	if e.Kind == bmc.KindRejected && s.cfg.Clock.Now().Sub(j.CreatedAt) < time.Hour {
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
	switch m.State {
	case Assigned, Draining:
		m.tenancy, m.Detail = Failed, text
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
// installed. Of an inspection it returns what the BMC knows.
func (s *Service) settle(ctx context.Context, m Machine, j agentJob) (inv bmc.Inventory, err error) {
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
	if j.Outcome != rackagent.Done || j.Kind == rackagent.Inspect && j.Hardware == nil {
		return s.failed(ctx, tx, m, j, CauseFailed, "the agent failed: "+j.Error)
	}
	j.Closed = true
	if err := s.save(ctx, tx, j); err != nil {
		return err
	}
	if j.Kind == rackagent.Deploy {
		m.tenancy, m.Detail, m.watchedAt = Running, "", &tx.Now
		return s.keep(ctx, tx, m)
	}
	h := hardwareOf(inv, *j.Hardware, tx.Now)
	m.Hardware = &h
	return s.move(ctx, tx, &m, CauseInspected, "")
}

// erased applies an erasure: the machine is clean only if every drive was erased by its serial
// number.
func (s *Service) erased(ctx context.Context, tx *db.Tx, m Machine, j agentJob) error {
	var known []Drive
	if m.Hardware != nil {
		known = m.Hardware.Drives
	}
	wrong := judge(known, j.Erasure)
	if wrong == "" && j.Outcome != rackagent.Done {
		wrong = "the agent failed: " + j.Error
	}
	if wrong != "" {
		return s.failed(ctx, tx, m, j, CauseFailed, wrong)
	}
	j.Closed = true
	if err := s.save(ctx, tx, j); err != nil {
		return err
	}
	if err := recordErasure(ctx, tx, record(j, m, "", tx.Now)); err != nil {
		return err
	}
	m.Unerased = false
	if m.Retiring {
		m.Retiring = false
		return s.move(ctx, tx, &m, CauseRetired, "")
	}
	return s.move(ctx, tx, &m, CauseErased, "")
}

// validate compares the machine with what is for sale.
func (s *Service) validate(ctx context.Context, was Machine) error {
	b, err := s.open(ctx, was)
	if err != nil {
		return err
	}
	defer b.Close()
	inv, err := b.Inventory(ctx)
	if err != nil {
		return err
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

// cut switches off the machine of a deployment that has ended. The deployment has it until that is
// certain, however long the BMC does not answer.
func (s *Service) cut(ctx context.Context, was Machine) error {
	b, err := s.open(ctx, was)
	if err != nil {
		return err
	}
	defer b.Close()
	crashpoint.Reach(crashpoint.RackCutBeforeCall)
	if err := b.SetPower(ctx, bmc.PowerOff); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.RackCutBeforeCommit)
	err = s.change(ctx, was, func(_ context.Context, _ *db.Tx, m *Machine) error {
		m.DeploymentID, m.tenancy, m.wanted, m.wantedAt, m.launch, m.Detail = nil, NoTenancy, WantNothing, nil, "", ""
		return nil
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackCutAfterCommit)
	}
	return err
}

// power does what the deployment wants. An operating system is asked to switch itself off first.
func (s *Service) power(ctx context.Context, was Machine) (again time.Time, err error) {
	b, err := s.open(ctx, was)
	if err != nil {
		return again, err
	}
	defer b.Close()
	crashpoint.Reach(crashpoint.RackPowerBeforeCall)
	reached := Running
	switch was.wanted {
	case WantReboot:
		err = b.SetPower(ctx, bmc.Reset)
	case WantOn:
		err = b.SetPower(ctx, bmc.PowerOn)
	default:
		reached = SwitchedOff
		var off bool
		if off, err = s.switchOff(ctx, b, was); err == nil && !off {
			again = s.cfg.Clock.Now().Add(graceEvery)
			if was.wanted == WantOff {
				return again, s.wanting(ctx, was, wantOffAsked)
			}
			return again, nil
		}
	}
	if err != nil {
		return again, err
	}
	crashpoint.Reach(crashpoint.RackPowerBeforeCommit)
	err = s.change(ctx, was, func(_ context.Context, tx *db.Tx, m *Machine) error {
		if m.wanted != was.wanted {
			return errMoved // the deployment wants something else since
		}
		m.tenancy, m.wanted, m.wantedAt, m.watchedAt, m.Detail = reached, WantNothing, nil, &tx.Now, ""
		return nil
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackPowerAfterCommit)
	}
	return again, err
}

// wanting replaces a wish that is still the same.
func (s *Service) wanting(ctx context.Context, was Machine, w Wish) error {
	return s.change(ctx, was, func(_ context.Context, _ *db.Tx, m *Machine) error {
		if m.wanted != was.wanted {
			return errMoved
		}
		m.wanted = w
		return nil
	})
}

// switchOff reports whether the machine is off. It asks the operating system once, and switches the
// machine off if that has not helped in time.
func (s *Service) switchOff(ctx context.Context, b *bmc.BMC, m Machine) (off bool, err error) {
	now, err := b.Power(ctx)
	if err != nil || now == bmc.Off {
		return now == bmc.Off, err
	}
	if m.wanted == WantOff {
		if err := b.SetPower(ctx, bmc.GracefulOff); err == nil || bmc.KindOf(err) == bmc.KindUnreachable {
			return false, err
		}
	} else if m.wantedAt != nil && s.cfg.Clock.Now().Before(m.wantedAt.Add(graceTime)) {
		return false, nil
	}
	return true, b.SetPower(ctx, bmc.PowerOff)
}

// watch reads the power of a machine that a deployment has. A BMC that does not answer says nothing
// of it.
func (s *Service) watch(ctx context.Context, was Machine) error {
	seen, detail := was.tenancy, ""
	b, err := s.open(ctx, was)
	if err == nil {
		defer b.Close()
		var now bmc.PowerState
		if now, err = b.Power(ctx); now == bmc.On {
			seen = Running
		} else if now == bmc.Off {
			seen = SwitchedOff
		}
	}
	switch e, is := errors.AsType[*bmc.Error](err); {
	case is:
		seen, detail = was.tenancy, "The BMC does not answer, which does not affect the tenant: "+plain(e.Message)
	case err != nil:
		return err
	}
	return s.change(ctx, was, func(_ context.Context, tx *db.Tx, m *Machine) error {
		if m.wanted != was.wanted {
			return errMoved
		}
		m.tenancy, m.watchedAt, m.Detail = seen, &tx.Now, detail
		return nil
	})
}
