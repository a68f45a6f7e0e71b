package catalog_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/google/go-cmp/cmp"
)

const every = time.Minute

// seller is a provider that sells what the test says.
type seller struct {
	slug    string
	minimum time.Duration

	mu        sync.Mutex
	offers    []provider.Offer
	volumes   []provider.VolumePricing
	err       error
	volumeErr error
	hang      bool
	asking    func() // called while Offers is under way
	asked     int
}

func (s *seller) set(f func(*seller)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *seller) Info() provider.Info {
	return provider.Info{Slug: s.slug, Name: strings.ToUpper(s.slug), SyncEvery: every, MinimumRuntime: s.minimum,
		Regions: []provider.Region{{Slug: "dallas-usa-5", Name: "Dallas", Country: "US"},
			{Slug: "oslo-1", Name: "Oslo", Country: "NO"}}}
}

func (s *seller) Offers(ctx context.Context) ([]provider.Offer, error) {
	if db.InsideTx(ctx) {
		panic("a provider was asked inside a transaction")
	}
	s.mu.Lock()
	s.asked++
	offers, err, hang, asking := slices.Clone(s.offers), s.err, s.hang, s.asking
	s.mu.Unlock()
	if asking != nil {
		asking()
	}
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return offers, err
}

func (s *seller) Launch(context.Context, provider.LaunchRequest) (provider.Machine, error) {
	return provider.Machine{}, errors.New("not for sale")
}
func (s *seller) Machine(context.Context, id.ID) (provider.Machine, error) {
	return provider.Machine{}, &provider.Error{Kind: provider.KindNotFound}
}
func (s *seller) Machines(context.Context) ([]provider.Machine, error) { return nil, nil }
func (s *seller) Terminate(context.Context, id.ID) error               { return nil }

// storer is a seller that has volumes too.
type storer struct{ *seller }

func (s storer) VolumePricing(context.Context) ([]provider.VolumePricing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.volumes), s.volumeErr
}
func (s storer) CreateVolume(context.Context, provider.VolumeRequest) (provider.Volume, error) {
	return provider.Volume{}, nil
}
func (s storer) Volumes(context.Context) ([]provider.Volume, error) { return nil, nil }
func (s storer) Volume(context.Context, id.ID) (provider.Volume, error) {
	return provider.Volume{}, nil
}
func (s storer) GrowVolume(context.Context, id.ID, int64) error   { return nil }
func (s storer) DeleteVolume(context.Context, id.ID) error        { return nil }
func (s storer) AttachVolume(context.Context, id.ID, id.ID) error { return nil }
func (s storer) DetachVolume(context.Context, id.ID) error        { return nil }

func whole(n int) *int { return &n }

func offer(key string) provider.Offer {
	return provider.Offer{Key: key, Region: "dallas-usa-5", GPUType: "NVIDIA B200", GPUCount: 8, GPUMemoryGB: 180,
		VCPUs: 192, MemoryGB: 2048,
		StorageGB: 30000, Interconnect: "InfiniBand 3.2 Tbps", InstanceType: provider.BareMetal,
		OperatingSystems: []string{"Ubuntu 22.04", "Ubuntu 24.04"},
		HourlyPrice:      money.Dollars(20), Available: true, Stock: whole(3),
		Capabilities: provider.Capabilities{Reboot: true, CloudInit: true, Volumes: true}}
}

type rig struct {
	t      testing.TB
	db     *db.DB
	clock  *clock.Simulated
	log    *bytes.Buffer
	markup map[string]int64
	own    func() map[id.ID]int64 // the accounts' own markups
	trust  []id.ID                // the accounts that are trusted
	limit  time.Duration          // of a provider's answer; 0 for the usual one
	queue  *job.Queue
	rules  *pricerule.Service
	health health.Policies
	cat    *catalog.Catalog
}

func newRig(t testing.TB, d *db.DB, c *clock.Simulated, providers ...provider.Provider) *rig {
	r := &rig{t: t, db: d, clock: c, log: &bytes.Buffer{}, markup: map[string]int64{},
		queue: job.NewQueue(id.NewMaker(c, rand.Reader)), rules: pricerule.New(id.NewMaker(c, rand.Reader))}
	r.cat = r.catalog(providers...)
	return r
}

func (r *rig) catalog(providers ...provider.Provider) *catalog.Catalog {
	return catalog.New(catalog.Config{DB: r.db, IDs: id.NewMaker(r.clock, rand.Reader), Clock: r.clock,
		Providers: provider.NewRegistry(providers...), Jobs: r.queue,
		Log: slog.New(slog.NewTextHandler(r.log, nil)), Markup: func(slug string) int64 { return r.markup[slug] },
		RequestTimeout: r.limit, Rules: r.rules,
		Health:  func(context.Context, db.Reader) (health.Policies, error) { return r.health, nil },
		Trusted: func(context.Context, db.Reader) ([]id.ID, error) { return r.trust, nil },
		OwnMarkups: func(context.Context, db.Reader) (map[id.ID]int64, error) {
			if r.own == nil {
				return nil, nil
			}
			return maps.Clone(r.own()), nil
		}})
}

func (r *rig) sync(slug string) job.Outcome {
	r.t.Helper()
	o, err := r.cat.Sync(r.t.Context(), job.Subject("provider", slug))
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

func (r *rig) only() catalog.Offer {
	r.t.Helper()
	all, total := r.cat.Default().List(catalog.Query{})
	if total != 1 || len(all) != 1 {
		r.t.Fatalf("%d offers, expected one: %+v", total, all)
	}
	return all[0]
}

func (r *rig) points(offer id.ID) []catalog.PricePoint {
	r.t.Helper()
	now := r.clock.Now()
	got, _, err := r.cat.PriceHistory(r.t.Context(), r.db, "acc_usual", offer, time.Time{}, now.Add(time.Hour), now)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func TestOfferHasTheTenantsPrice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		o := offer("b200x8")
		o.GPUCount, o.HourlyPrice = 3, 10_000_001
		s := &seller{slug: "voltage-park", minimum: 25*time.Minute + time.Second, offers: []provider.Offer{o}}
		r := newRig(t, d, c, s)
		r.markup["voltage-park"] = 1_000
		r.sync("voltage-park")
		got := r.only()
		if !got.ID.Valid(id.Offer) {
			t.Errorf("the ID is %q", got.ID)
		}
		dallas, link := "US", "InfiniBand 3.2 Tbps"
		want := catalog.Offer{
			ID: got.ID, OfferID: got.ID, Reliability: got.Reliability, Key: "b200x8",
			Provider: "voltage-park", Region: "dallas-usa-5", RegionName: "Dallas", Country: &dallas,
			GPUType: "NVIDIA B200", GPUCount: 3, GPUMemoryGB: 180, VCPUs: 192, MemoryGB: 2048, StorageGB: 30000,
			Interconnect: &link, InstanceType: provider.BareMetal,
			OperatingSystems:      []string{"Ubuntu 22.04", "Ubuntu 24.04"},
			Capabilities:          provider.Capabilities{CloudInit: true}, // what the seller's adapter implements
			MinimumRuntimeMinutes: 26, HealthPolicy: health.Off,
			HourlyPrice: 11_000_001, CostPrice: 10_000_001, HourlyPricePerGPU: 3_666_667,
			Available: true, Stock: whole(3), AsOf: c.Now(),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("offer (-want +got):\n%s", diff)
		}
		same, _ := r.cat.Default().Get(got.ID)
		if diff := cmp.Diff(want, same); diff != "" {
			t.Errorf("Get (-want +got):\n%s", diff)
		}
	})
}

func TestOfferJSONShowsNoCost(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	o := offer("b200x8")
	o.GPUCount, o.HourlyPrice = 3, 10_000_001
	s := &seller{slug: "voltage-park", minimum: time.Hour, offers: []provider.Offer{o}}
	r := newRig(t, dbtest.SQLite(t, c), c, s)
	r.markup["voltage-park"] = 1_000
	r.sync("voltage-park")
	body, err := json.Marshal(r.only())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"gpuMemoryGb":180`, `"hourlyPricePerGpu":3.666667`,
		`"operatingSystems":["Ubuntu 22.04","Ubuntu 24.04"]`, `"interconnect":"InfiniBand 3.2 Tbps"`,
		`"minimumRuntimeMinutes":60`} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
	for _, secret := range []string{"b200x8", "10.000001"} {
		if bytes.Contains(body, []byte(secret)) {
			t.Errorf("%s shows %s, which is the provider's", body, secret)
		}
	}
}

func TestCatalog_Ready(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	r := newRig(t, dbtest.SQLite(t, c), c, &seller{slug: "voltage-park", offers: []provider.Offer{offer("b200x8")}})
	if p := r.cat.Default().Providers(); r.cat.Ready() || len(p) != 1 || p[0].Status != catalog.StatusDown {
		t.Errorf("Ready = %t before a provider answered, providers %+v", r.cat.Ready(), p)
	}
	if got, want := r.sync("voltage-park"), job.At(c.Now().Add(every)); got != want {
		t.Errorf("Sync = %+v, want %+v", got, want)
	}
	if !r.cat.Ready() {
		t.Error("Ready = false after an answer")
	}
}

// A new server has no provider: then it is known that there are no offers.
func TestCatalog_ReadyWithoutProviders(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		if all, total := r.cat.Default().List(catalog.Query{}); !r.cat.Ready() || total != 0 || len(all) != 0 {
			t.Errorf("ready: %v, %d offers, want ready and none", r.cat.Ready(), total)
		}
	})
}

func TestOfferKeepsItsIDWhenWithdrawnAndOfferedAgain(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := &seller{slug: "voltage-park", offers: []provider.Offer{offer("off_abc123"), offer("other")}}
		r := newRig(t, d, c, s)
		r.sync("voltage-park")
		kept, found := r.cat.Default().Get("off_abc123")
		if !found {
			t.Fatal("a key in the form of an offer's id did not become the id")
		}
		all, _ := r.cat.Default().List(catalog.Query{})
		other := all[slices.IndexFunc(all, func(o catalog.Offer) bool { return o.Key == "other" })].ID

		s.set(func(s *seller) { s.offers = s.offers[:1] })
		c.Advance(every)
		r.sync("voltage-park")
		if _, found := r.cat.Default().Get(other); found || r.only().ID != kept.ID {
			t.Fatal("an offer that vanished upstream is still there")
		}
		s.set(func(s *seller) { s.offers = []provider.Offer{offer("other"), offer("off_abc123")} })
		c.Advance(every)
		r.sync("voltage-park")
		if back, found := r.cat.Default().Get(other); !found || back.Key != "other" {
			t.Fatal("it was offered again under another ID")
		}
		points := r.points(other)
		if len(points) != 3 || !points[0].Available || points[1].Available || points[1].Stock != nil ||
			!points[2].Available {
			t.Fatalf("its history: %+v", points)
		}
	})
}

func TestProvidersWithTheSameIDGetDifferentOnes(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		elsewhere := offer("off_abc123")
		elsewhere.Region = "oslo-1"
		a := &seller{slug: "a", offers: []provider.Offer{offer("off_abc123"), elsewhere}}
		b := &seller{slug: "b", offers: []provider.Offer{offer("off_abc123")}}
		r := newRig(t, d, c, a, b)
		r.sync("a")
		r.sync("b")
		all, total := r.cat.Default().List(catalog.Query{})
		first, _ := r.cat.Default().Get("off_abc123")
		if total != 3 || first.Provider != "a" || first.Region != "dallas-usa-5" {
			t.Fatalf("%+v", all)
		}
		before := ids(all)
		a.set(func(s *seller) { slices.Reverse(s.offers) })
		r.sync("b")
		r.sync("a")
		if again, _ := r.cat.Default().List(catalog.Query{}); !slices.Equal(ids(again), before) {
			t.Fatalf("ids moved: %v, then %v", before, ids(again))
		}
	})
}

func TestPricePointIsWrittenExactlyOnChange(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := &seller{slug: "voltage-park", offers: []provider.Offer{offer("off_1")}}
		r := newRig(t, d, c, s)
		start := c.Now()
		step := func(f func(o *provider.Offer)) {
			s.set(func(s *seller) { f(&s.offers[0]) })
			r.sync("voltage-park")
			c.Advance(every)
		}
		step(func(o *provider.Offer) {})
		step(func(o *provider.Offer) {})
		step(func(o *provider.Offer) { o.HourlyPrice = money.Dollars(21) })
		step(func(o *provider.Offer) { o.MemoryGB = 4096 }) // not a price
		step(func(o *provider.Offer) { o.Stock = whole(0) })
		step(func(o *provider.Offer) { o.Stock = nil })
		got := r.points("off_1")
		want := []string{"0s $20.00 true 3", "2m0s $21.00 true 3", "4m0s $21.00 false 0", "5m0s $21.00 true -"}
		if shown := show(got, start); !slices.Equal(shown, want) {
			t.Fatalf("%q, expected %q", shown, want)
		}
		if r.only().MemoryGB != 4096 {
			t.Error("the other change is lost")
		}
		some, _, err := r.cat.PriceHistory(
			t.Context(), d, "acc_usual", "off_1", start.Add(3*every), start.Add(5*every), c.Now())
		if shown := show(some, start); err != nil || !slices.Equal(shown, want[1:3]) {
			t.Fatalf("a part: %q, %v", shown, err)
		}
		none, found, err := r.cat.PriceHistory(t.Context(), d, "acc_usual", "off_unknown", start, c.Now(), c.Now())
		if err != nil || found || len(none) != 0 {
			t.Fatalf("%v %v", none, err)
		}
		c.Advance(91 * 24 * time.Hour)
		r.sync("voltage-park")
		if shown := show(r.points("off_1"), start); !slices.Equal(shown, want[3:]) {
			t.Fatalf("after 90 days: %q", shown)
		}
	})
}

func show(points []catalog.PricePoint, start time.Time) (out []string) {
	for _, p := range points {
		stock := "-"
		if p.Stock != nil {
			stock = fmt.Sprint(*p.Stock)
		}
		out = append(out, fmt.Sprintf("%s %s %t %s", p.At.Sub(start), p.HourlyPrice, p.Available, stock))
	}
	return out
}

func TestMalformedOffersAreDroppedAndReported(t *testing.T) {
	bad := map[string]func(o *provider.Offer){
		"no key":               func(o *provider.Offer) { o.Key = "" },
		"long key":             func(o *provider.Offer) { o.Key = strings.Repeat("k", 129) },
		"NUL":                  func(o *provider.Offer) { o.GPUType = "B\x00200" },
		"not UTF-8":            func(o *provider.Offer) { o.Interconnect = "\xff" },
		"no GPU type":          func(o *provider.Offer) { o.GPUType = " " },
		"no GPU":               func(o *provider.Offer) { o.GPUCount = 0 },
		"negative memory":      func(o *provider.Offer) { o.MemoryGB = -1 },
		"negative stock":       func(o *provider.Offer) { o.Stock = whole(-1) },
		"region with a space":  func(o *provider.Offer) { o.Region = "dallas usa" },
		"region in capitals":   func(o *provider.Offer) { o.Region = "Dallas" },
		"no operating system":  func(o *provider.Offer) { o.OperatingSystems = nil },
		"one system twice":     func(o *provider.Offer) { o.OperatingSystems = []string{"a", "a"} },
		"free":                 func(o *provider.Offer) { o.HourlyPrice = 0 },
		"dearer than anything": func(o *provider.Offer) { o.HourlyPrice = 1 << 62 },
		"unknown type":         func(o *provider.Offer) { o.InstanceType = "TOASTER" },
		"there twice":          func(o *provider.Offer) { *o = offer("good") },
	}
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := &seller{slug: "voltage-park", offers: []provider.Offer{offer("good")}}
		for name, spoil := range bad {
			o := offer(name)
			spoil(&o)
			s.offers = append(s.offers, o)
		}
		r := newRig(t, d, c, s)
		r.sync("voltage-park")
		if got := r.only(); got.Key != "good" {
			t.Fatalf("%+v", got)
		}
		if log := r.log.String(); strings.Count(log, "\n") != 1 ||
			!strings.Contains(log, fmt.Sprintf("dropped=%d", len(bad))) {
			t.Fatalf("log: %s", log)
		}
	})
}

func TestFailingProviderIsWithdrawnAndRecovers(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := storer{&seller{slug: "voltage-park", offers: []provider.Offer{offer("off_1")},
			volumes: []provider.VolumePricing{{Region: "oslo-1", PerGBHour: 100, MinSizeGB: 10, MaxSizeGB: 100}}}}
		r := newRig(t, d, c, s)
		r.sync("voltage-park")
		first := c.Now()
		s.set(func(s *seller) {
			s.err = &provider.Error{Kind: provider.KindUnavailable, Cause: errors.New("secret\x00 host")}
		})
		type observation struct {
			listed, available, ready bool
			status                   catalog.Status
			volumes                  int
		}
		see := func() observation {
			o, listed := r.cat.Default().Get("off_1")
			if listed && !o.AsOf.Equal(first) {
				t.Errorf("as of %s though there was no answer", o.AsOf)
			}
			return observation{listed, o.Available, r.cat.Ready(), r.cat.Default().Providers()[0].Status,
				len(r.cat.Default().VolumePricing())}
		}
		for minute := 1; minute <= 16; minute++ {
			c.Advance(every)
			r.sync("voltage-park")
			want := observation{true, true, true, catalog.StatusDegraded, 1}
			if minute >= 3 {
				want = observation{true, false, false, catalog.StatusDown, 1}
			}
			if minute >= 15 {
				want = observation{false, false, false, catalog.StatusDown, 0}
			}
			if got := see(); got != want {
				t.Fatalf("minute %d: %+v, expected %+v", minute, got, want)
			}
		}
		if h := r.cat.Health()[0]; !strings.Contains(h.LastError, "secret host") || !h.LastSuccessAt.Equal(first) ||
			!h.LastFailureAt.Equal(c.Now()) {
			t.Errorf("%+v", h)
		}
		s.set(func(s *seller) { s.err = nil })
		c.Advance(every)
		r.sync("voltage-park")
		first = c.Now()
		if got, want := see(), (observation{true, true, true, catalog.StatusUp, 1}); got != want {
			t.Fatalf("back: %+v", got)
		}
		if n := len(r.points("off_1")); n != 3 {
			t.Errorf("%d price points, expected: there, gone, there", n)
		}
	})
}

func TestOneFailureAfterALongPauseIsOneFailure(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := storer{&seller{slug: "voltage-park", offers: []provider.Offer{offer("off_1")},
			volumes: []provider.VolumePricing{{Region: "oslo-1", PerGBHour: 100, MinSizeGB: 10, MaxSizeGB: 100}}}}
		r := newRig(t, d, c, s)
		r.sync("voltage-park")
		fail, answer := func(s *seller) { s.err = &provider.Error{Kind: provider.KindUnavailable} },
			func(s *seller) { s.err = nil }
		see := func(when string, available bool, status catalog.Status, volumes int) {
			t.Helper()
			o, listed := r.cat.Default().Get("off_1")
			if h := r.cat.Health()[0]; !listed || o.Available != available || h.Status != status ||
				len(r.cat.Default().VolumePricing()) != volumes {
				t.Errorf("%s: listed %t, available %t, %d volumes, %+v", when, listed, o.Available,
					len(r.cat.Default().VolumePricing()), h)
			}
		}
		c.Advance(30 * 24 * time.Hour) // without requests meanwhile
		s.set(fail)
		since := c.Now()
		for n, when := range []string{"first failure", "second", "third"} {
			r.sync("voltage-park")
			see(when, n < 2, []catalog.Status{catalog.StatusDegraded, catalog.StatusDegraded, catalog.StatusDown}[n], 1)
			if h := r.cat.Health()[0]; h.FailingSince == nil || !h.FailingSince.Equal(since) {
				t.Errorf("failing since %v, not %s", h.FailingSince, since)
			}
			c.Advance(every)
		}
		s.set(answer)
		r.sync("voltage-park")
		see("back", true, catalog.StatusUp, 1)
		// The clock may also jump while a question is under way.
		s.set(fail)
		s.set(func(s *seller) { s.asking = func() { c.Advance(30 * 24 * time.Hour) } })
		c.Advance(every)
		r.sync("voltage-park")
		see("jump under way", true, catalog.StatusDegraded, 1)
		if again := r.catalog(s); again.Load(t.Context()) != nil || again.Health()[0].Status != catalog.StatusDegraded {
			t.Errorf("another replica sees %+v", again.Health()[0])
		}
	})
}

func TestProviderRequestTimesOutAndRetryAfterIsRespected(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := &seller{slug: "voltage-park", hang: true}
		r := newRig(t, d, c, s)
		r.limit = time.Millisecond
		r.cat = r.catalog(s)
		if got := r.sync("voltage-park"); got != job.At(c.Now().Add(every)) || r.cat.Ready() {
			t.Fatalf("%+v", got)
		}
		r.limit = 0
		r.cat = r.catalog(s)
		s.set(func(s *seller) {
			s.hang, s.err = false, &provider.Error{Kind: provider.KindUnavailable, RetryAfter: time.Hour}
		})
		if got := r.sync("voltage-park"); got != job.At(c.Now().Add(time.Hour)) {
			t.Fatalf("asked to wait an hour: %+v", got)
		}
		ctx, stop := context.WithCancel(t.Context())
		s.set(func(s *seller) { s.hang, s.asking = true, stop })
		c.Advance(every)
		if _, err := r.cat.Sync(ctx, "provider/voltage-park"); !errors.Is(err, context.Canceled) {
			t.Fatalf("the server's end: %v", err)
		}
		if h := r.cat.Health()[0]; h.LastFailureAt.Equal(c.Now()) {
			t.Error("the server's end was held against the provider")
		}
		if o, err := r.cat.Sync(t.Context(), "provider/once-configured"); err != nil || o != job.Done() {
			t.Fatalf("%+v %v", o, err)
		}
	})
}

func TestEarlierAnswerNeverOverwritesLaterOne(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := &seller{slug: "voltage-park", offers: []provider.Offer{offer("off_1")}}
		r := newRig(t, d, c, s)
		s.asking = func() { // the first answer is under way when another worker asks and writes
			s.set(func(s *seller) {
				s.asking, s.offers = nil, []provider.Offer{s.offers[0]}
				s.offers[0].HourlyPrice = money.Dollars(30)
			})
			c.Advance(time.Second)
			r.sync("voltage-park")
		}
		r.sync("voltage-park")
		if got := r.only(); got.HourlyPrice != money.Dollars(30) {
			t.Fatalf("%+v", got)
		}
	})
}

func TestReplicasSeeOneCatalog(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		a, gone := &seller{slug: "a", offers: []provider.Offer{offer("off_1")}},
			&seller{slug: "gone", offers: []provider.Offer{offer("off_2")}}
		r := newRig(t, d, c, a, gone)
		r.sync("a")
		r.sync("gone")
		second := r.catalog(a) // "gone" is configured no more
		if err := second.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all, total := second.Default().List(catalog.Query{}); total != 1 || all[0].ID != "off_1" || !second.Ready() {
			t.Fatalf("%+v", all)
		}
		c.Advance(every)
		r.sync("a") // nothing but the time has changed
		if err := second.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o, _ := second.Default().Get("off_1"); !o.AsOf.Equal(c.Now()) {
			t.Errorf("as of %s, expected %s", o.AsOf, c.Now())
		}
		a.set(func(s *seller) { s.offers[0].Available = false })
		r.sync("a")
		if err := second.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o, _ := second.Default().Get("off_1"); o.Available {
			t.Error("a change of another replica is not seen")
		}
	})
}

func TestChangedMarkupAppliesAtTheNextLoad(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := storer{&seller{slug: "a", offers: []provider.Offer{offer("off_1")},
			volumes: []provider.VolumePricing{{Region: "oslo-1", PerGBHour: 105, MinSizeGB: 10, MaxSizeGB: 100},
				{Region: "Bad", PerGBHour: 1, MinSizeGB: 1, MaxSizeGB: 1}}}}
		r := newRig(t, d, c, s)
		r.sync("a")
		r.markup["a"] = 1_000
		r.load()
		if got := r.only(); got.HourlyPrice != money.Dollars(22) || !got.Capabilities.Volumes {
			t.Errorf("%+v", got)
		}
		want := []catalog.VolumePrice{{Provider: "a", Region: "oslo-1", RegionName: "Oslo", PerGBHour: 116,
			MinSizeGB: 10, MaxSizeGB: 100, CostPrice: 105}}
		if got := r.cat.Default().VolumePricing(); !slices.Equal(got, want) {
			t.Errorf("%+v", got)
		}
		s.set(func(s *seller) { s.volumeErr = errors.New("no answer") })
		r.sync("a")
		if _, found := r.cat.Default().VolumePrice("a", "oslo-1"); !found {
			t.Error("the last volume prices are lost")
		}
		s.set(func(s *seller) { s.volumeErr = &provider.Error{Kind: provider.KindUnsupported} })
		r.sync("a")
		if got := r.cat.Default().VolumePricing(); got == nil || len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Prices of volumes are written only when they change, each for its own provider and region.
func TestVolumePricesAreWrittenOnChange(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		price := func(region string, perGB money.Micros) provider.VolumePricing {
			return provider.VolumePricing{Region: region, PerGBHour: perGB, MinSizeGB: 10, MaxSizeGB: 100}
		}
		a := storer{&seller{slug: "a", volumes: []provider.VolumePricing{
			price("dallas-usa-5", 100), price("oslo-1", 200),
		}}}
		b := storer{&seller{slug: "b", volumes: []provider.VolumePricing{price("oslo-1", 900)}}}
		r := newRig(t, d, c, a, b)
		r.sync("b")
		for _, step := range []struct {
			what string
			now  []provider.VolumePricing
			want map[string]money.Micros
		}{
			{"the first answer", a.volumes, map[string]money.Micros{"dallas-usa-5": 100, "oslo-1": 200}},
			{
				"one is dearer", []provider.VolumePricing{price("dallas-usa-5", 100), price("oslo-1", 201)},
				map[string]money.Micros{"dallas-usa-5": 100, "oslo-1": 201},
			},
			{
				"another order", []provider.VolumePricing{price("oslo-1", 201), price("dallas-usa-5", 100)},
				map[string]money.Micros{"dallas-usa-5": 100, "oslo-1": 201},
			},
			{"one is gone", []provider.VolumePricing{price("oslo-1", 201)}, map[string]money.Micros{"oslo-1": 201}},
		} {
			a.set(func(s *seller) { s.volumes = step.now })
			c.Advance(every)
			r.sync("a")
			got := map[string]money.Micros{}
			for _, v := range r.cat.Default().VolumePricing() {
				if v.Provider == "a" {
					got[v.Region] = v.CostPrice
				} else if v.CostPrice != 900 || v.Region != "oslo-1" {
					t.Errorf("%s: the other provider's price is %+v", step.what, v)
				}
			}
			if diff := cmp.Diff(step.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.what, diff)
			}
		}
	})
}

func TestEditionChangesWithContent(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := &seller{slug: "voltage-park", offers: []provider.Offer{offer("off_1")}}
		r := newRig(t, d, c, s)
		other := r.catalog(s)
		load := func() catalog.Edition {
			t.Helper()
			if err := other.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			return other.Edition()
		}
		last := load()
		for _, step := range []struct {
			what string
			do   func(s *seller)
		}{
			{"the first answer", func(*seller) {}},
			{"a dearer offer", func(s *seller) { s.offers[0].HourlyPrice++ }},
			{"the same answer, a minute later", func(*seller) {}}, // asOf is part of every offer
			{"a failure", func(s *seller) { s.err = errors.New("no route") }},
		} {
			s.set(step.do)
			c.Advance(every)
			r.sync("voltage-park")
			now := load()
			if now == last {
				t.Errorf("%s is not told", step.what)
			}
			if load() != now {
				t.Errorf("another edition though nothing has changed since %s", step.what)
			}
			last = now
		}
	})
}

func TestCatalog_StartSyncsEveryProvider(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		a, b := &seller{slug: "a", offers: []provider.Offer{offer("off_1")}},
			&seller{slug: "b", offers: []provider.Offer{offer("off_2")}}
		r := newRig(t, d, c, a, b)
		n := job.NewRunner(job.Config{DB: d, Queue: r.queue, Clock: c, Real: db.Time,
			Log: slog.New(slog.DiscardHandler), Workers: 2})
		n.Handle(catalog.KindSync, r.cat.Sync)
		if err := r.cat.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for want := 1; want <= 3; want++ {
			if err := n.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			if a.asked != want || b.asked != want {
				t.Fatalf("asked %d and %d times, expected %d", a.asked, b.asked, want)
			}
			c.Advance(every)
		}
		if _, total := r.cat.Default().List(catalog.Query{}); total != 2 {
			t.Errorf("%d offers", total)
		}
	})
}

func ids(offers []catalog.Offer) (out []id.ID) {
	for _, o := range offers {
		out = append(out, o.ID)
	}
	return out
}

// An account is removed, and another one gets its slug before its cloud has answered.
func TestForgottenProviderSellsNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		former := storer{&seller{
			slug: "a", offers: []provider.Offer{offer("x"), offer("y")},
			volumes: []provider.VolumePricing{{Region: "oslo-1", PerGBHour: 100, MinSizeGB: 10, MaxSizeGB: 100}},
		}}
		other := &seller{slug: "b", offers: []provider.Offer{offer("z")}}
		r := newRig(t, d, c, former, other)
		if err := r.cat.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.sync("a")
		r.sync("b")
		replica := r.catalog(former, other)
		err := errors.Join(replica.Load(t.Context()), d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return r.cat.Forget(ctx, tx, "a")
		}), replica.Load(t.Context()), r.cat.Load(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		for name, cat := range map[string]*catalog.Catalog{"this replica": r.cat, "another replica": replica} {
			all, _ := cat.Default().List(catalog.Query{})
			if len(all) != 1 || all[0].Provider != "b" {
				t.Errorf("%s sells %+v, want only what b sells", name, all)
			}
			if volumes := cat.Default().VolumePricing(); len(volumes) != 0 {
				t.Errorf("%s sells volumes %+v", name, volumes)
			}
			if h := cat.Health()[0]; h.Status != catalog.StatusDown || h.LastSuccessAt != nil {
				t.Errorf("%s: health %+v, want that it never answered", name, h)
			}
		}
		c.Advance(every)
		r.sync("a") // the new account sells the same
		if all, _ := r.cat.Default().List(catalog.Query{}); len(all) != 3 {
			t.Errorf("after the first answer: %+v", all)
		}
	})
}
