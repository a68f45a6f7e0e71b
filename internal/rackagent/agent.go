package rackagent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Agent does one job on one machine. Its fields are everything outside of it.
type Agent struct {
	Parameters Parameters
	Server     *http.Client // for billetd: pinned
	Images     *http.Client // for images of other servers
	// Tenants is for images whose URL a tenant chose: TenantClient.
	Tenants func(networks []netip.Prefix) *http.Client
	Inspect func(context.Context) (Hardware, []*Drive, error)
	// Serve serves the shell of a rescue until the context ends, or the tenant restarts the
	// machine.
	Serve     func(context.Context, Shell) error
	Say       func(string) // writes a line to the machine's console
	Now       func() time.Time
	Wait      func(context.Context, time.Duration) error // returns early if the context ends
	Heartbeat time.Duration                              // between reports of progress
	Temporary string                                     // directory in memory, for a qcow2 image
	// TenantLimit is how long the download of a tenant's image may take; 0 for tenantLimit.
	TenantLimit time.Duration

	status status
}

// Next is what is to be done with the machine after the job.
type Next int

// What follows a job.
const (
	Halt     Next = iota // stay, so that the console can be read
	PowerOff             // the job is done, or failed
	Restart              // start from the drive
)

// status is what the next report says.
type status struct {
	mu       sync.Mutex
	phase    Phase
	progress int
}

func (s *status) set(p Phase, progress int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.progress = p, min(progress, 100)
}

func (s *status) get() (Phase, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase, s.progress
}

// Run asks for the machine's job, does it, and reports.
func (a *Agent) Run(ctx context.Context) Next {
	j, err := a.job(ctx)
	if err != nil {
		return a.over(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &reporter{agent: a, last: Report{JobID: j.ID, Phase: Started}}
	hardware, drives, err := a.Inspect(ctx)
	if err != nil && j.Kind == Rescue {
		a.say("The hardware was not inspected: " + err.Error()) // the tenant may find out why
	} else if err != nil {
		return a.finish(ctx, r, j.Kind, PowerOff, &Error{HardwareFailed, err.Error()})
	}
	hardware = identify(hardware, drives)
	r.last.Hardware = &hardware
	if err := r.send(ctx, lastTries); err != nil {
		return a.over(err)
	}
	r.last.Hardware = nil
	if err := j.Validate(); err != nil {
		r.last.Hardware = &hardware
		return a.finish(ctx, r, j.Kind, PowerOff, &Error{InvalidJob, err.Error()})
	}
	a.say(fmt.Sprintf("Job %s: %s, on a machine with %d drives.", j.ID, j.Kind, len(drives)))
	a.status.set(Started, 0)
	stop := r.beat(ctx, a.Heartbeat, cancel)
	erasure, next, failure := a.do(ctx, j, drives)
	stop()
	r.last.Hardware, r.last.Erasure = &hardware, erasure
	if err := context.Cause(ctx); err != nil {
		return a.over(err)
	}
	return a.finish(ctx, r, j.Kind, next, failure)
}

// do does the job, without the reports.
func (a *Agent) do(ctx context.Context, j Job, drives []*Drive) (*Erasure, Next, *Error) {
	var erasure *Erasure
	if j.Kind == Erase || j.Kind == Deploy && j.Erase != nil {
		a.status.set(Erasing, 0)
		e := eraser{now: a.Now}
		if j.Erase != nil {
			e.plan = *j.Erase
		}
		done := e.all(ctx, drives, j.Drives, func(percent int) { a.status.set(Erasing, percent) })
		erasure = &done
		a.sayErasure(done)
		if !done.Complete() {
			return erasure, PowerOff, &Error{ErasureFailed, erasureProblems(done)}
		}
	}
	switch j.Kind {
	case Deploy:
		space, found := target(drives, j.Image.Drive, j.Image.Bytes)
		if !found {
			return erasure, PowerOff, &Error{DriveNotFound,
				"no drive of the machine is the one to write, or holds the image"}
		}
		a.say("Writing the image to " + space.Name() + ".")
		return erasure, Restart, a.install(ctx, space, j)
	case Rescue:
		a.status.set(Serving, 0)
		a.say("Rescue: the tenant can log in. Nothing is changed on the drives.")
		if err := a.Serve(ctx, *j.Shell); err != nil {
			return nil, Restart, &Error{RescueFailed, err.Error()}
		}
		return nil, Restart, nil
	}
	return erasure, PowerOff, nil
}

func (a *Agent) sayErasure(e Erasure) {
	for _, d := range e.Drives {
		a.say(strings.TrimSpace(fmt.Sprintf("Drive %s %s: %s by %s, %d of %d marks gone. %s",
			d.Serial, d.Model, d.Verdict, d.Method, d.MarksGone, d.Marks, d.Detail)))
	}
}

func erasureProblems(e Erasure) string {
	if len(e.Drives) == 0 {
		return "the machine shows no drive"
	}
	var texts []string
	for _, d := range e.Drives {
		if d.Verdict != Erased {
			texts = append(texts, fmt.Sprintf("drive %q: %s", d.Serial, d.Detail))
		}
	}
	return strings.Join(texts, "; ")
}

// finish delivers the last report. A machine in rescue starts from its drive if it cannot.
func (a *Agent) finish(ctx context.Context, r *reporter, kind Kind, next Next, failure *Error) Next {
	r.last.Phase, r.last.Progress, r.last.Error = Done, 100, nil
	if failure != nil {
		failure.Message = printable(failure.Message)
		r.last.Phase, r.last.Error, next = Stopped, failure, PowerOff
		a.say("The job failed: " + failure.Message)
	} else {
		a.say("The job is done.")
	}
	tries := lastTries
	if kind == Rescue {
		tries = rescueTries
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, rescueEnd)
		defer cancel()
	}
	err := r.send(ctx, tries)
	switch {
	case err == nil:
		return next
	case kind == Rescue && !errors.Is(err, errOver):
		a.say("Billet was not told: " + err.Error())
		return Restart
	}
	return a.over(err)
}

// over ends a job that the server does not know any more, or whose server cannot be reached. The
// machine stays as it is, so that the console can be read; it does not start from its drive.
func (a *Agent) over(err error) Next {
	a.say("Stopped: " + err.Error() + ". Nothing more is done on this machine until it is started again.")
	return Halt
}

// reporter numbers and sends reports.
type reporter struct {
	agent *Agent
	mu    sync.Mutex
	last  Report
}

func (r *reporter) send(ctx context.Context, tries int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last.Number++
	return r.agent.send(ctx, r.last, tries)
}

// beat reports the progress until stop is called, which waits for a report that is on its way. The
// server's answer that the job is over cancels the job.
func (r *reporter) beat(ctx context.Context, interval time.Duration, cancel func(error)) (stop func()) {
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-end:
				return
			case <-ticker.C:
			}
			r.mu.Lock()
			r.last.Phase, r.last.Progress = r.agent.status.get()
			r.mu.Unlock()
			if err := r.send(ctx, 1); errors.Is(err, errOver) {
				cancel(err)
				return
			}
		}
	})
	return func() {
		close(end)
		done.Wait()
	}
}

// Validate reports every fault of a job.
func (j Job) Validate() error {
	var wrong []string
	if j.ID == "" {
		wrong = append(wrong, "id is missing")
	}
	if !slices.Contains([]Kind{Inspect, Deploy, Erase, Rescue}, j.Kind) {
		wrong = append(wrong, fmt.Sprintf("kind %q is not known", j.Kind))
	}
	if j.Erase != nil {
		for _, m := range j.Erase.Methods {
			if !slices.Contains(Methods(), m) {
				wrong = append(wrong, fmt.Sprintf("erase method %q is not known", m))
			}
		}
	}
	if j.Kind == Deploy {
		if j.Image == nil {
			wrong = append(wrong, "image is missing")
		} else {
			wrong = append(wrong, j.Image.faults()...)
		}
		if j.Config == nil {
			wrong = append(wrong, "config is missing")
		} else if len(j.Config.MetaData)+len(j.Config.UserData)+len(j.Config.NetworkConfig) > maxConfig {
			wrong = append(wrong, "config has more than 1 MiB")
		}
	}
	if j.Kind == Rescue && (j.Shell == nil || len(j.Shell.AuthorizedKeys) == 0 || j.Shell.HostKey == "") {
		wrong = append(wrong, "shell has no keys")
	}
	if len(wrong) > 0 {
		return errors.New("the job is not valid: " + strings.Join(wrong, "; "))
	}
	return nil
}

func (i Image) faults() []string {
	var wrong []string
	if u, err := url.Parse(i.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		wrong = append(wrong, "image.url is not an address of HTTP")
	}
	if b, err := hex.DecodeString(i.SHA256); err != nil || len(b) != 32 || i.SHA256 != strings.ToLower(i.SHA256) {
		wrong = append(wrong, "image.sha256 has not 64 lower-case hexadecimal digits")
	}
	if u, err := url.Parse(i.URL); i.Tenant && (err != nil || u.Scheme != "https") {
		wrong = append(wrong, "image.url is not an address of HTTPS")
	}
	if i.Format != Raw && i.Format != QCOW2 {
		wrong = append(wrong, fmt.Sprintf("image.format %q is not known", i.Format))
	}
	if i.Bytes < 1 || i.Bytes > maxDisk {
		wrong = append(wrong, "image.bytes is not a size")
	}
	return wrong
}
