package bmc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

const image = "http://10.0.0.1/job.iso"

// shortWait is for tests in which an effect never comes.
const shortWait = 200 * time.Millisecond

func open(t *testing.T, a bmc.Address) *bmc.BMC {
	t.Helper()
	b, err := bmc.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func wantKind(t *testing.T, err error, want bmc.Kind) {
	t.Helper()
	if err == nil || bmc.KindOf(err) != want {
		t.Errorf("got the error %v, want the kind %s", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the error has the password: %v", err)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	_, a := bmctest.Start(t, bmctest.Config{
		Serial: "X1", MACs: []string{"AA:BB:CC:00:00:02", "aa-bb-cc-00-00-01"}, GPUs: 2, SecureBoot: true,
	})
	got, err := open(t, a).Inventory(t.Context())
	noError(t, err)
	want := bmc.Inventory{
		Serial: "X1", Model: "Emulated server", Manufacturer: "Billet",
		Firmware: map[string]string{"BIOS": "U1.2", "BMC": "2.1", "NIC": "22.3"},
		MACs:     []string{"aa:bb:cc:00:00:01", "aa:bb:cc:00:00:02"},
		GPUs: []bmc.GPU{
			{"GPU1", "NVIDIA H100 80GB HBM3", "X1-GPU1"}, {"GPU2", "NVIDIA H100 80GB HBM3", "X1-GPU2"},
		},
		VirtualCD: true, SecureBoot: bmc.SecureBootOn,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// TestInventoryOfPartsOnly: a part that the BMC cannot list must not hide the others.
func TestInventoryOfPartsOnly(t *testing.T) {
	t.Parallel()
	_, a := bmctest.Start(t, bmctest.Config{Quirks: bmctest.Quirks{InventoryBroken: true, NoCD: true}})
	b := open(t, a)
	got, err := b.Inventory(t.Context())
	noError(t, err)
	if len(got.Missing) != 1 || !strings.Contains(got.Missing[0], "The inventory is broken") ||
		got.Firmware["NIC"] != "22.3" || got.VirtualCD || got.SecureBoot != bmc.SecureBootOff {
		t.Errorf("got %+v", got)
	}
	wantKind(t, b.BootCD(t.Context(), image), bmc.KindUnsupported)
	wantKind(t, b.EjectCD(t.Context()), bmc.KindUnsupported)
}

func TestPower(t *testing.T) {
	t.Parallel()
	var changes []bool
	sim, a := bmctest.Start(t, bmctest.Config{OnPower: func(on bool) { changes = append(changes, on) }})
	b := open(t, a)
	for _, step := range []struct {
		do    bmc.PowerAction
		on    bool
		boots int
	}{
		{bmc.PowerOff, false, 0}, {bmc.GracefulOff, false, 0},
		{bmc.PowerOn, true, 1}, {bmc.PowerOn, true, 1},
		{bmc.Reset, true, 2}, {bmc.GracefulOff, false, 2},
		{bmc.Reset, true, 3}, {bmc.PowerOff, false, 3},
	} {
		noError(t, b.SetPower(t.Context(), step.do))
		if s := sim.State(); s.On != step.on || len(s.Boots) != step.boots {
			t.Fatalf("after %s: got on %t and %d starts, want %t and %d",
				step.do, s.On, len(s.Boots), step.on, step.boots)
		}
		want := map[bool]bmc.PowerState{true: bmc.On, false: bmc.Off}[step.on]
		if got, err := b.Power(t.Context()); err != nil || got != want {
			t.Errorf("after %s: got %s, %v", step.do, got, err)
		}
	}
	if !slices.Equal(changes, []bool{true, false, true, false}) {
		t.Errorf("got the changes %v", changes)
	}
	wantKind(t, b.SetPower(t.Context(), "explode"), bmc.KindUnsupported)
}

// TestBootCD: the server starts from the image once, and its software's restart is from the disk.
func TestBootCD(t *testing.T) {
	t.Parallel()
	sim, a := bmctest.Start(t, bmctest.Config{})
	b := open(t, a)
	noError(t, b.EjectCD(t.Context())) // nothing is inserted
	noError(t, b.BootCD(t.Context(), "http://10.0.0.1/old.iso"))
	noError(t, b.BootCD(t.Context(), image))
	noError(t, b.SetPower(t.Context(), bmc.PowerOn))
	sim.Restart(t.Context())
	if s := sim.State(); !slices.Equal(s.Boots, []string{image, ""}) || s.CD != image {
		t.Errorf("got %+v", s)
	}
	noError(t, b.EjectCD(t.Context()))
	if s := sim.State(); s.CD != "" {
		t.Errorf("got %+v", s)
	}
}

// TestSoftwareOfAnEarlierStartDoesNothing is about the emulator: what still runs in the test after
// the server was switched off and on must not switch what has started since.
func TestSoftwareOfAnEarlierStartDoesNothing(t *testing.T) {
	t.Parallel()
	starts := make(chan context.Context)
	sim, a := bmctest.Start(t, bmctest.Config{OnBoot: func(ctx context.Context, _ string) {
		starts <- ctx
		<-ctx.Done()
	}})
	b := open(t, a)
	noError(t, b.SetPower(t.Context(), bmc.PowerOn))
	first := <-starts
	noError(t, b.SetPower(t.Context(), bmc.PowerOff))
	noError(t, b.SetPower(t.Context(), bmc.PowerOn))
	second := <-starts
	sim.PowerOff(first)
	sim.Restart(first)
	if s := sim.State(); !s.On || len(s.Boots) != 2 || second.Err() != nil {
		t.Errorf("the first start's software has switched it: on %t, %d starts, %v", s.On, len(s.Boots), second.Err())
	}
	sim.PowerOff(second)
	if s := sim.State(); s.On || second.Err() == nil {
		t.Error("the running software did not switch the server off")
	}
}

// TestOnBootRunsUntilTheServerStops is about the emulator.
func TestOnBootRunsUntilTheServerStops(t *testing.T) {
	t.Parallel()
	started, ended := make(chan string), make(chan string)
	_, a := bmctest.Start(t, bmctest.Config{OnBoot: func(ctx context.Context, cd string) {
		started <- cd
		<-ctx.Done()
		ended <- cd
	}})
	b := open(t, a)
	noError(t, b.BootCD(t.Context(), image))
	noError(t, b.SetPower(t.Context(), bmc.PowerOn))
	if got := <-started; got != image {
		t.Errorf("started from %q", got)
	}
	noError(t, b.SetPower(t.Context(), bmc.PowerOff))
	if got := <-ended; got != image {
		t.Errorf("ended %q", got)
	}
}

// TestQuirks has a BMC with each quirk do a whole cycle: insert over an old image, start, eject,
// switch off and change the password.
func TestQuirks(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]bmctest.Quirks{
		"none":                           {},
		"media under systems":            {MediaUnderSystems: true},
		"insert while inserted refused":  {InsertWhileInsertedRefused: true},
		"empty image refused":            {EmptyImageRefused: true},
		"insert with the image only":     {InsertOnlyImage: true},
		"transfer protocol required":     {TransferProtocolRequired: true},
		"busy":                           {Unavailable: 3},
		"slow":                           {Slow: time.Millisecond},
		"ETag required":                  {ETagRequired: true},
		"sessions only":                  {SessionOnly: true},
		"passwords only":                 {BasicOnly: true},
		"insert by task":                 {InsertByTask: 2},
		"power lags":                     {PowerLag: 2},
		"Once ignored":                   {OnceIgnored: true},
		"no effect at first":             {InsertIgnored: 1},
		"no effect at first, with rules": {InsertIgnored: 1, ETagRequired: true, SessionOnly: true, InsertByTask: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, a := bmctest.Start(t, bmctest.Config{Quirks: q})
			a.Wait = 2 * time.Second
			if q.InsertIgnored > 0 || q.OnceIgnored {
				a.Wait = shortWait
			}
			b := open(t, a)
			noError(t, b.BootCD(t.Context(), "http://10.0.0.1/old.iso"))
			noError(t, b.BootCD(t.Context(), image))
			noError(t, b.SetPower(t.Context(), bmc.PowerOn))
			if s := sim.State(); !slices.Equal(s.Boots, []string{image}) {
				t.Errorf("got the starts %q", s.Boots)
			}
			noError(t, b.EjectCD(t.Context()))
			sim.Restart(t.Context())
			if s := sim.State(); s.CD != "" || s.BootEnabled != "Disabled" || s.Boots[1] != "" {
				t.Errorf("got %+v", s)
			}
			noError(t, b.SetPower(t.Context(), bmc.PowerOff))
			noError(t, b.SetPassword(t.Context(), "another one"))
			if s := sim.State(); s.Password != "another one" || s.On {
				t.Errorf("got %+v", s)
			}
			if _, err := b.Power(t.Context()); err != nil {
				t.Error(err)
			}
			b.Close()
			if s := sim.State(); s.Sessions > 0 {
				t.Errorf("%d sessions stay open", s.Sessions)
			}
			_, err := bmc.Open(t.Context(), a)
			wantKind(t, err, bmc.KindUnauthorized)
		})
	}
}

// TestNoEffect: a BMC that accepts a change and does nothing is no success.
func TestNoEffect(t *testing.T) {
	t.Parallel()
	boot := func(ctx context.Context, b *bmc.BMC) error { return b.BootCD(ctx, image) }
	for name, c := range map[string]struct {
		quirks bmctest.Quirks
		do     func(context.Context, *bmc.BMC) error
		want   bmc.Kind
		says   string
	}{
		"insert": {bmctest.Quirks{InsertIgnored: -1}, boot, bmc.KindRejected, "shows no virtual CD"},
		"task":   {bmctest.Quirks{TaskFails: true}, boot, bmc.KindRejected, "The image cannot be read."},
		"endless task": {
			bmctest.Quirks{InsertByTask: 1 << 30}, boot, bmc.KindUnreachable, "did not end",
		},
		"another host": {bmctest.Quirks{ForeignLink: true}, boot, bmc.KindRejected, "another host"},
		"power": {bmctest.Quirks{PowerIgnored: -1}, func(ctx context.Context, b *bmc.BMC) error {
			return b.SetPower(ctx, bmc.PowerOn)
		}, bmc.KindRejected, "the server is not on"},
		"eject": {bmctest.Quirks{EjectIgnored: -1}, func(ctx context.Context, b *bmc.BMC) error {
			if err := b.BootCD(ctx, image); err != nil {
				return err
			}
			return b.EjectCD(ctx)
		}, bmc.KindRejected, "still shows one"},
		"password": {bmctest.Quirks{PasswordIgnored: true}, func(ctx context.Context, b *bmc.BMC) error {
			err := b.SetPassword(ctx, "another one")
			if _, stays := b.Power(ctx); stays != nil {
				return stays
			}
			return err
		}, bmc.KindRejected, "does not let it sign in"},
		"short password": {bmctest.Quirks{}, func(ctx context.Context, b *bmc.BMC) error {
			err := b.SetPassword(ctx, "short")
			if err != nil && strings.Contains(err.Error(), "value short") {
				return errors.New("the error has the new password: " + err.Error())
			}
			return err
		}, bmc.KindRejected, "value (password) of Password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, a := bmctest.Start(t, bmctest.Config{Quirks: c.quirks})
			a.Wait = shortWait
			err := c.do(t.Context(), open(t, a))
			wantKind(t, err, c.want)
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error does not say %q: %v", c.says, err)
			}
		})
	}
}

// TestOnceForgotten is about the emulator: the client cannot see this quirk.
func TestOnceForgotten(t *testing.T) {
	t.Parallel()
	sim, a := bmctest.Start(t, bmctest.Config{Quirks: bmctest.Quirks{OnceForgotten: true}})
	b := open(t, a)
	noError(t, b.BootCD(t.Context(), image))
	noError(t, b.SetPower(t.Context(), bmc.PowerOn))
	if s := sim.State(); !slices.Equal(s.Boots, []string{""}) {
		t.Errorf("got the starts %q", s.Boots)
	}
}

func TestImageThatTheBMCCannotRead(t *testing.T) {
	t.Parallel()
	_, a := bmctest.Start(t, bmctest.Config{OnInsert: func(string) error { return errors.New("no route to host") }})
	err := open(t, a).BootCD(t.Context(), image)
	wantKind(t, err, bmc.KindRejected)
	if !strings.Contains(err.Error(), "no route to host") {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	sim, a := bmctest.Start(t, bmctest.Config{})
	b := open(t, a)
	sim.SetQuirks(bmctest.Quirks{Unavailable: -1})
	_, err := b.Power(t.Context())
	wantKind(t, err, bmc.KindUnreachable)
	wantKind(t, b.BootCD(t.Context(), image), bmc.KindUnreachable)
	sim.SetQuirks(bmctest.Quirks{})
	noError(t, b.BootCD(t.Context(), image)) // it is usable again

	slow := a
	slow.Timeout = 50 * time.Millisecond
	sim.SetQuirks(bmctest.Quirks{Slow: time.Hour})
	_, err = bmc.Open(t.Context(), slow)
	wantKind(t, err, bmc.KindUnreachable)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Power(ctx)
	wantKind(t, err, bmc.KindUnreachable)

	a.URL = "https://127.0.0.1:1"
	_, err = bmc.Open(t.Context(), a)
	wantKind(t, err, bmc.KindUnreachable)
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	sim, a := bmctest.Start(t, bmctest.Config{Quirks: bmctest.Quirks{SessionOnly: true}})
	b := open(t, a)
	sim.EndSessions()
	if _, err := b.Power(t.Context()); err != nil {
		t.Errorf("a session that ended is not opened again: %v", err)
	}
	a.Password = "secret2"
	_, err := bmc.Open(t.Context(), a)
	wantKind(t, err, bmc.KindUnauthorized)
	if got := a.String(); strings.Contains(got, "secret") {
		t.Errorf("the address prints its password: %s", got)
	}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	sim, a := bmctest.Start(t, bmctest.Config{})
	pin := a.CertificateSHA256
	a.CertificateSHA256 = strings.ToUpper(pin[:2] + ":" + pin[2:])
	open(t, a)
	before := len(sim.State().Requests)
	for _, wrong := range []string{"", strings.Repeat("00", 32)} {
		a.CertificateSHA256 = wrong
		_, err := bmc.Open(t.Context(), a)
		wantKind(t, err, bmc.KindUnauthorized)
		if wrong != "" && !strings.Contains(err.Error(), pin) {
			t.Errorf("the error does not have the certificate's SHA-256: %v", err)
		}
	}
	if after := len(sim.State().Requests); after != before {
		t.Error("a request was sent to a BMC with the wrong certificate")
	}
}

func TestAddress_Check(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://10.0.0.5", "http://bmc.example:8000/", "https://[fd00::1]:443"} {
		if wrong := (bmc.Address{URL: good}).Check(); wrong != "" {
			t.Errorf("%s %s", good, wrong)
		}
	}
	for _, bad := range []bmc.Address{
		{URL: ""}, {URL: "10.0.0.5"}, {URL: "ftp://10.0.0.5"}, {URL: "https://"}, {URL: "https://a:b@10.0.0.5"},
		{URL: "https://10.0.0.5/redfish"}, {URL: "https://10.0.0.5/?x"},
		{URL: "https://10.0.0.5", CertificateSHA256: "ab"}, {URL: "https://10.0.0.5", CertificateSHA256: "xy"},
	} {
		if bad.Check() == "" {
			t.Errorf("%s is accepted", bad)
		}
		_, err := bmc.Open(t.Context(), bad)
		wantKind(t, err, bmc.KindRejected)
	}
}

// TestHostileBMC: what is not Redfish ends with an error, and leads nowhere else.
func TestHostileBMC(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("another host was called")
	}))
	t.Cleanup(other.Close)
	huge := strings.Repeat(" ", 5<<20)
	many := `{"Members":[` + strings.Repeat(`{"@odata.id":"/redfish/v1/Systems/1"},`, 200) + `{}]}`
	for name, answers := range map[string]map[string]string{
		"a redirect":       {"/redfish/v1/": "redirect"},
		"too large":        {"/redfish/v1/": huge + "{}"},
		"no JSON":          {"/redfish/v1/": "<html>"},
		"no systems":       {"/redfish/v1/": "{}"},
		"a foreign link":   {"/redfish/v1/": `{"Systems":{"@odata.id":"` + other.URL + `/redfish/v1/Systems"}}`},
		"too many systems": {"/redfish/v1/": `{"Systems":{"@odata.id":"/s"}}`, "/s": many},
		"endless pages": {
			"/redfish/v1/": `{"Systems":{"@odata.id":"/s"}}`, "/s": `{"Members":[],"Members@odata.nextLink":"/s"}`,
		},
		"an invalid link": {"/redfish/v1/": `{"Systems":{"@odata.id":"http://[::1"}}`},
		"a host only": {
			"/redfish/v1/": `{"Systems":{"@odata.id":"` + strings.TrimPrefix(other.URL, "http:") + `/"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text, is := answers[r.URL.Path]
				switch {
				case text == "redirect":
					http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
				case !is:
					http.NotFound(w, r)
				default:
					_, _ = w.Write([]byte(text)) // the client may stop reading
				}
			}))
			t.Cleanup(server.Close)
			if _, err := bmc.Open(t.Context(), bmc.Address{URL: server.URL, User: "u", Password: "p"}); err == nil {
				t.Error("no error")
			} else if _, is := errors.AsType[*bmc.Error](err); !is {
				t.Errorf("the error has no kind: %v", err)
			}
		})
	}
}

// TestSeveralSystems: a GPU baseboard is a system, too.
func TestSeveralSystems(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"/redfish/v1/":    `{"Systems":{"@odata.id":"/s"}}`,
		"/s":              `{"Members":[{"@odata.id":"/s/hgx"},{"@odata.id":"/s/dgx"}]}`,
		"/s/hgx":          `{"Id":"HGX","Processors":{"@odata.id":"/p"}}`,
		"/s/dgx":          `{"Id":"DGX","SerialNumber":"7","Boot":{"BootSourceOverrideEnabled":"Disabled"}}`,
		"/p":              `{"Members":[{"@odata.id":"/p/1"}]}`,
		"/p/1":            `{"Name":"GPU_1","ProcessorType":"GPU","Model":"H100"}`,
		"/redfish/v1/x":   `{}`,
		"/redfish/v1/two": `{}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(answers[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	a := bmc.Address{URL: server.URL}
	got, err := open(t, a).Inventory(t.Context())
	noError(t, err)
	if got.Serial != "7" || len(got.GPUs) != 1 || got.GPUs[0].Model != "H100" {
		t.Errorf("got %+v", got)
	}
	a.System = "HGX"
	if got, err := open(t, a).Inventory(t.Context()); err != nil || got.Serial != "" || len(got.GPUs) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	a.System = "other"
	_, err = bmc.Open(t.Context(), a)
	wantKind(t, err, bmc.KindUnsupported)
	if !strings.Contains(err.Error(), "DGX") {
		t.Errorf("the error does not list the systems: %v", err)
	}
}

// TestNoCallInsideTransaction: a slow BMC would keep the database locked.
func TestNoCallInsideTransaction(t *testing.T) {
	t.Parallel()
	_, a := bmctest.Start(t, bmctest.Config{})
	b := open(t, a)
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		err := d.InTx(t.Context(), func(ctx context.Context, _ *db.Tx) error {
			_, err := b.Power(ctx)
			return err
		})
		if !errors.Is(err, bmc.ErrInsideTx) {
			t.Errorf("got %v", err)
		}
	})
}

// TestImageHidden: a program that has the URL of an image can act as the server's agent, so it must
// not be in errors, which are stored and shown.
func TestImageHidden(t *testing.T) {
	t.Parallel()
	const token = "q7Zk-1vXb_W0aaBBccDDeeFFggHHiiJJkkLLmmNNooP"
	echo := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error": {"message": "` + text + `"}}`))
		}
	}
	for name, c := range map[string]struct {
		quirks  bmctest.Quirks
		refuses http.HandlerFunc
	}{
		"nothing inserted": {quirks: bmctest.Quirks{InsertIgnored: -1}},
		"repeated":         {refuses: echo("https://10.0.0.1:8444/agent/v1/iso/" + token + ".iso cannot be read")},
		"repeated in part": {refuses: echo("'/agent/v1/iso/" + token[:20] + "...' is too long")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, a := bmctest.Start(t, bmctest.Config{Quirks: c.quirks})
			if c.refuses != nil {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, "VirtualMedia.InsertMedia") {
						c.refuses(w, r)
						return
					}
					sim.ServeHTTP(w, r)
				}))
				t.Cleanup(s.Close)
				a.URL, a.CertificateSHA256 = s.URL, ""
			}
			a.Wait = shortWait
			err := open(t, a).BootCD(t.Context(), "https://10.0.0.1:8444/agent/v1/iso/"+token+".iso")
			wantKind(t, err, bmc.KindRejected)
			if err != nil && strings.Contains(err.Error(), token[:10]) {
				t.Errorf("the error has the token: %v", err)
			}
			if c.refuses == nil && err != nil && !strings.Contains(err.Error(), "10.0.0.1:8444") {
				t.Errorf("the error does not say where the BMC must reach: %v", err)
			}
		})
	}
}
