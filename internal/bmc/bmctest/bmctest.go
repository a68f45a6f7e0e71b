package bmctest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
)

// Config describes an emulated BMC and its server. The zero value is a BMC without quirks.
type Config struct {
	// User and Password are "admin" and "secret" where they are "".
	User, Password string
	// Serial is "SIM1" where it is "", and MACs is one address where it is nil.
	Serial string
	MACs   []string
	// GPUs is how many the processors list.
	GPUs int
	// SecureBoot is whether the firmware starts signed programs only.
	SecureBoot bool
	Quirks     Quirks

	// OnBoot runs what the server runs from its start until it is off or starts again, which the
	// context tells. cd is the URL that it starts from, "" for its disk.
	OnBoot func(ctx context.Context, cd string)
	// OnPower is called after the power changed.
	OnPower func(on bool)
	// OnInsert reads the image, as a BMC does when it is inserted. Its error refuses the image. It
	// must not call the BMC.
	OnInsert func(url string) error
}

// Quirks are what real BMCs do. Counters count down to 0, and -1 is without end.
type Quirks struct {
	// NoCD: the BMC has a virtual USB stick only, as without a license.
	NoCD bool
	// MediaUnderSystems: the virtual CD is below Systems, and not below Managers.
	MediaUnderSystems bool
	// InsertWhileInsertedRefused: the old image must be ejected first.
	InsertWhileInsertedRefused bool
	// EmptyImageRefused: an image cannot be removed by inserting "".
	EmptyImageRefused bool
	// InsertOnlyImage: any other parameter is refused.
	InsertOnlyImage bool
	// TransferProtocolRequired: an insert must state how the image is transferred.
	TransferProtocolRequired bool
	// InsertIgnored: so many inserts are answered with 204 and do nothing.
	InsertIgnored int
	// InsertByTask: an insert is answered with 202 and a task, which runs for so many reads.
	InsertByTask int
	// TaskFails: the task of an insert ends with an exception.
	TaskFails bool
	// EjectIgnored: so many ejects are answered with 204 and do nothing.
	EjectIgnored int
	// OnceIgnored: the boot override Once is accepted, and stays off.
	OnceIgnored bool
	// OnceForgotten: Once is accepted and shown, and the server starts from its disk.
	OnceForgotten bool
	// PowerLag: after a change so many reads show the old state.
	PowerLag int
	// PowerIgnored: so many resets are answered with 204 and do nothing.
	PowerIgnored int
	// GracefulIgnored: what runs does not obey GracefulShutdown. GracefulRefused: nor does the BMC.
	GracefulIgnored, GracefulRefused bool
	// PasswordIgnored: a new password is accepted, and the old one stays.
	PasswordIgnored bool
	// PasswordCut: only so many characters of a new password are kept, without an error.
	PasswordCut int
	// MaxPassword is how many characters a password may have, which the BMC tells and enforces.
	// HiddenLimits: it does not tell.
	MaxPassword  int
	HiddenLimits bool
	// StrongPassword: a password needs letters in both cases, a digit and another character.
	StrongPassword bool
	// NoAccounts: there is no account service. FixedAccounts: an account cannot be changed.
	NoAccounts, FixedAccounts bool
	// LockoutAfter: after so many wrong passwords in a row the right one is refused, too, until
	// Unlock.
	LockoutAfter int
	// Unavailable: so many requests are answered with 503.
	Unavailable int
	// Slow is how long each answer takes.
	Slow time.Duration
	// ETagRequired: a PATCH needs the version that was read, by If-Match.
	ETagRequired bool
	// SessionOnly: passwords are accepted for sessions only. BasicOnly: there are no sessions.
	SessionOnly, BasicOnly bool
	// InventoryBroken: the processors are answered with 500.
	InventoryBroken bool
	// ForeignLink: the link to the virtual CD leads to another host.
	ForeignLink bool
}

// State is what a test may read.
type State struct {
	On bool
	// CD is the URL of the inserted image, "" for none.
	CD string
	// BootTarget and BootEnabled are the boot override.
	BootTarget, BootEnabled string
	Password                string
	// WrongPasswords is how many were sent since the last right one, and Locked whether the account
	// is locked for that.
	WrongPasswords int
	Locked         bool
	// Boots is what the server started from, in order: a URL, or "" for its disk.
	Boots []string
	// Resets are the types of all changes of the power that were accepted, in order.
	Resets []string
	// Sessions is how many are open.
	Sessions int
	// Requests are method and path of all requests.
	Requests []string
}

// BMC is an emulated BMC with its server. It is safe for concurrent use.
type BMC struct {
	c       Config
	handler *routes

	mu       sync.Mutex
	quirks   Quirks
	state    State
	lag      int
	lagging  bool              // the power that is still shown
	sessions map[string]string // tokens by id
	ids      int
	tasks    map[string]*task
	pending  []func() // to call without the lock

	cancel  context.CancelFunc // of what the server runs
	running sync.WaitGroup
	closed  bool
}

type task struct {
	reads int
	do    func()
	fails bool
}

// New returns a BMC whose server is off.
func New(c Config) *BMC {
	if c.User == "" {
		c.User = "admin"
	}
	if c.Password == "" {
		c.Password = "secret"
	}
	if c.Serial == "" {
		c.Serial = "SIM1"
	}
	if c.MACs == nil {
		c.MACs = []string{"52:54:00:AA:00:01"}
	}
	b := &BMC{
		c: c, quirks: c.Quirks, sessions: map[string]string{}, tasks: map[string]*task{}, cancel: func() {},
		state: State{Password: c.Password, BootTarget: "None", BootEnabled: "Disabled"},
	}
	b.handler = b.routes()
	return b
}

// Start serves the BMC by TLS until the test ends. The address has its certificate.
func Start(t testing.TB, c Config) (*BMC, bmc.Address) {
	t.Helper()
	b := New(c)
	server := httptest.NewUnstartedServer(b)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	server.StartTLS()
	t.Cleanup(func() {
		server.Close()
		b.Close()
	})
	sum := sha256.Sum256(server.Certificate().Raw)
	return b, bmc.Address{
		URL: server.URL, User: b.c.User, Password: b.c.Password, CertificateSHA256: hex.EncodeToString(sum[:]),
	}
}

// Close switches the server off and waits until nothing runs.
func (b *BMC) Close() {
	b.mu.Lock()
	b.closed = true
	b.cancel()
	b.mu.Unlock()
	b.running.Wait()
}

// State returns the state.
func (b *BMC) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.state
	out.Boots, out.Requests = slices.Clone(out.Boots), slices.Clone(out.Requests)
	out.Resets = slices.Clone(out.Resets)
	out.Sessions = len(b.sessions)
	return out
}

// SetQuirks replaces the quirks.
func (b *BMC) SetQuirks(q Quirks) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.quirks = q
}

// Restart is a restart by the server's own software: it starts again, from what the boot override
// is. The context is the one that OnBoot got: software of an earlier start does nothing.
func (b *BMC) Restart(ctx context.Context) {
	b.locked(func() {
		if b.state.On && ctx.Err() == nil {
			b.boot()
		}
	})
}

// PowerOff is the server's own software switching it off. The context is as in Restart.
func (b *BMC) PowerOff(ctx context.Context) {
	b.locked(func() {
		if ctx.Err() == nil {
			b.power(false)
		}
	})
}

// Wake switches the server on, as wake-on-LAN does.
func (b *BMC) Wake() { b.locked(func() { b.power(true) }) }

// SetSecureBoot changes whether the firmware starts signed programs only.
func (b *BMC) SetSecureBoot(on bool) { b.locked(func() { b.c.SecureBoot = on }) }

// SetPassword changes the password, as another user of the BMC would.
func (b *BMC) SetPassword(password string) { b.locked(func() { b.state.Password = password }) }

// SetUser replaces the account by one with another name and password.
func (b *BMC) SetUser(name, password string) {
	b.locked(func() { b.c.User, b.state.Password = name, password })
}

// Unlock lets a locked account sign in again, as a BMC does after a while.
func (b *BMC) Unlock() { b.locked(func() { b.state.WrongPasswords, b.state.Locked = 0, false }) }

// EndSessions ends all sessions, as a BMC does after a while.
func (b *BMC) EndSessions() { b.locked(func() { clear(b.sessions) }) }

// locked changes the state, and then calls what the change leads to.
func (b *BMC) locked(f func()) {
	b.mu.Lock()
	f()
	calls := b.pending
	b.pending = nil
	b.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// power switches the server. The caller holds the lock.
func (b *BMC) power(on bool) {
	if b.closed || b.state.On == on {
		return
	}
	b.lagging, b.lag = b.state.On, b.quirks.PowerLag
	b.state.On = on
	if f := b.c.OnPower; f != nil {
		b.pending = append(b.pending, func() { f(on) })
	}
	if on {
		b.boot()
	} else {
		b.cancel()
	}
}

// boot starts the server's software. The caller holds the lock.
func (b *BMC) boot() {
	if b.closed {
		return
	}
	b.cancel()
	cd := ""
	if b.state.BootEnabled != "Disabled" && b.state.BootTarget == "Cd" &&
		(!b.quirks.OnceForgotten || b.state.BootEnabled != "Once") {
		cd = b.state.CD
	}
	if b.state.BootEnabled == "Once" {
		b.state.BootEnabled, b.state.BootTarget = "Disabled", "None"
	}
	b.state.Boots = append(b.state.Boots, cd)
	f := b.c.OnBoot
	if f == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.running.Go(func() { f(ctx, cd) })
}

// use reports whether a counted quirk applies, and counts. The caller holds the lock.
func use(count *int) bool {
	if *count == 0 {
		return false
	}
	if *count > 0 {
		*count--
	}
	return true
}
