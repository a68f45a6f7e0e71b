package billet_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/billet"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

var ids = id.NewMaker(clock.System{}, rand.Reader)

// stub is a Billet whose responses the test sets.
type stub struct {
	*upstreamtest.Server

	mu   sync.Mutex
	page map[string][]map[string]any // lists by path
	one  map[string]map[string]any   // entries by path
	// respond replaces both where it is not nil.
	respond func(w http.ResponseWriter, r *http.Request)
}

func serve(t *testing.T) *stub {
	s := &stub{page: map[string][]map[string]any{}, one: map[string]map[string]any{}}
	s.Server = upstreamtest.Serve(t, http.HandlerFunc(s.handle))
	return s
}

func (s *stub) handle(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.respond != nil {
		s.respond(w, r)
		return
	}
	s.handleList(w, r)
}

// handleList responds with the list or entry of the path. The caller holds mu.
func (s *stub) handleList(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/inventory")
	list, isList := s.page[path]
	one, isOne := s.one[path]
	if tag := r.URL.Query().Get("tag"); tag != "" {
		list = slices.DeleteFunc(
			slices.Clone(list), func(d map[string]any) bool { return "billet:"+d["name"].(string) != tag },
		)
	}
	write := func(body map[string]any) { _ = json.NewEncoder(w).Encode(body) }
	switch {
	case isList:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from := min((page-1)*limit, len(list))
		write(map[string]any{
			"success": true, "data": append([]map[string]any{}, list[from:min(from+limit, len(list))]...),
			"pagination": map[string]any{
				"page": page, "limit": limit, "total": len(list), "totalPages": (len(list) + limit - 1) / limit,
			},
		})
	case isOne:
		write(map[string]any{"success": true, "data": one})
	default:
		w.WriteHeader(http.StatusNotFound)
		write(
			map[string]any{"success": false, "error": map[string]any{"code": "NOT_FOUND", "message": "There is none."}},
		)
	}
}

// change calls f, which may change the responses.
func (s *stub) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *stub) account() upstream.Account { return s.Account("other") }

func (s *stub) open(t *testing.T) *billet.Adapter {
	t.Helper()
	b, err := billet.New(s.account())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func running(reference id.ID) map[string]any {
	return map[string]any{
		"id": "dep_at" + string(reference[4:]), "name": upstream.Mark(reference), "status": "running",
		"ipAddress": "192.0.2.1", "sshUser": "root", "sshPort": 22,
		"sshHostKeys": []string{"[192.0.2.1]:22 ssh-ed25519 AAAA"}, "tags": []string{}, "pendingAction": nil,
		"createdAt": "2026-01-02T03:04:05Z", "steps": []any{},
	}
}

func TestNew_Settings(t *testing.T) {
	good := serve(t).account()
	for name, change := range map[string]func(a *upstream.Account){
		"unknown":      func(a *upstream.Account) { a.Settings = map[string]string{"project": "p"} },
		"no number":    func(a *upstream.Account) { a.Settings = map[string]string{"reads-per-minute": "many"} },
		"no reads":     func(a *upstream.Account) { a.Settings = map[string]string{"reads-per-minute": "0"} },
		"no base URL":  func(a *upstream.Account) { a.BaseURL = "" },
		"bad base URL": func(a *upstream.Account) { a.BaseURL = "billet" },
		"no key":       func(a *upstream.Account) { a.Credential = "" },
	} {
		bad := good
		change(&bad)
		if _, err := billet.New(bad); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	good.BaseURL += "/api/v1/inventory/" // as in its documentation
	b, err := billet.New(good)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Machines(t.Context())
	providertest.WantKind(t, "a list that is not there", err, provider.KindUnavailable)
}

func TestAdapter_VolumesOfOneProviderPerRegion(t *testing.T) {
	s := serve(t)
	sold := func(id, by, region string) map[string]any {
		return map[string]any{
			"id": id, "provider": by, "gpuType": "NVIDIA H100", "gpuCount": 1, "instanceType": "VM", "region": region,
			"regionName": region, "operatingSystems": []string{"Ubuntu"},
			"hourlyPrice": json.Number("1.234567"), "available": true, "stock": 0, "minimumRuntimeMinutes": 40,
			"capabilities": map[string]any{"volumes": true, "singleKey": true},
		}
	}
	price := func(by, region string, perGB float64) map[string]any {
		return map[string]any{
			"provider": by, "region": region, "hourlyPricePerGb": perGB, "minSizeGb": 10, "maxSizeGb": 1000,
		}
	}
	s.page["/offers"] = []map[string]any{
		sold("off_1", "b", "x"), sold("off_2", "a", "x"), sold("off_3", "c", "y"), sold("off_4", "c", "not a slug"),
	}
	s.page["/volumes/pricing"] = []map[string]any{price("b", "x", 0.0001), price("a", "x", 0.0002), price("c", "y", 0)}
	b := s.open(t)
	offers, err := b.Offers(t.Context())
	if err != nil || len(offers) != 3 {
		t.Fatalf("%+v, %v", offers, err)
	}
	for i, want := range []bool{false, true, false} {
		o := offers[i]
		if o.Capabilities.Volumes != want || !o.Capabilities.SingleKey || o.HourlyPrice != 1_234_567 ||
			o.Stock != nil || !o.Available || o.MinimumRuntime != 40*time.Minute ||
			!strings.HasPrefix(o.Key, "up:off_") {
			t.Errorf("%+v", o)
		}
	}
	prices, err := b.VolumePricing(t.Context())
	if err != nil || len(prices) != 1 || prices[0].PerGBHour != 200 {
		t.Errorf("%+v, %v", prices, err)
	}
}

func TestAdapter_MachineStatesHowItEnded(t *testing.T) {
	for status, want := range map[string]provider.MachineState{
		"failed": provider.MachineFailed, "interrupted": provider.MachineLost,
	} {
		s, reference := serve(t), ids.New(id.Deployment)
		d := running(reference)
		s.page["/deployments"] = []map[string]any{d}
		b := s.open(t)
		if m := providertest.WantMachine(t, b, reference, provider.MachineReady); len(m.SSHHostKeys) != 1 ||
			m.SSHHostKeys[0] != "ssh-ed25519 AAAA" {
			t.Errorf("%+v", m)
		}
		s.change(func() {
			d["status"], d["statusReason"] = status, "The floor was wet."
			s.page["/deployments"], s.one["/deployments/"+d["id"].(string)] = nil, d
		})
		s.Advance(time.Minute)
		if m := providertest.WantMachine(t, b, reference, want); m.Detail != "The floor was wet." {
			t.Errorf("%+v", m)
		}
		if err := b.Terminate(t.Context(), reference); err != nil {
			t.Error(err)
		}
		_, err := b.Machine(t.Context(), reference)
		providertest.WantKind(t, "Machine after Terminate", err, provider.KindNotFound)
		// A restarted server does not know the id.
		_, err = s.open(t).Machine(t.Context(), reference)
		providertest.WantKind(t, "Machine after a restart", err, provider.KindNotFound)
	}
}

func TestAdapter_States(t *testing.T) {
	s, reference := serve(t), ids.New(id.Deployment)
	d := running(reference)
	s.page["/deployments"] = []map[string]any{d}
	b := s.open(t)
	for _, c := range []struct {
		status, pending string
		want            provider.MachineState
	}{
		{"dreaming", "", provider.MachineProvisioning}, {"pending", "", provider.MachineProvisioning},
		{"deploying", "", provider.MachineProvisioning}, {"running", "", provider.MachineReady},
		{"running", "reboot", provider.MachineReady}, {"running", "reinstall", provider.MachineProvisioning},
		{"stopped", "", provider.MachineOff}, {"dreaming", "", provider.MachineOff},
		{"terminating", "", provider.MachineTerminating},
	} {
		s.change(func() {
			if d["status"], d["pendingAction"] = c.status, c.pending; c.pending == "" {
				d["pendingAction"] = nil
			}
		})
		s.Advance(time.Minute)
		t.Log(c)
		providertest.WantMachine(t, b, reference, c.want)
	}
	for _, broken := range []string{"ipAddress", "sshUser", "sshPort"} {
		s.change(func() {
			fresh := running(reference)
			fresh[broken] = nil
			s.page["/deployments"] = []map[string]any{fresh}
		})
		s.Advance(time.Minute)
		t.Log(broken)
		providertest.WantMachine(t, b, reference, provider.MachineProvisioning)
	}
}

func TestAdapter_ActionInProgress(t *testing.T) {
	s, reference := serve(t), ids.New(id.Deployment)
	d := running(reference)
	d["pendingAction"] = "reboot"
	s.page["/deployments"] = []map[string]any{d}
	b := s.open(t)
	providertest.WantKind(t, "PowerOff while it reboots", b.PowerOff(t.Context(), reference), provider.KindUnavailable)
	if err := b.Reboot(t.Context(), reference); err != nil {
		t.Errorf("Reboot again: %v", err)
	}
	for _, r := range s.Requests() {
		if r.Method != http.MethodGet {
			t.Errorf("%+v was sent", r)
		}
	}
}

// An action may be done between reading the machine and the request, which is refused then.
func TestAdapter_ActionDoneMeanwhile(t *testing.T) {
	for after, good := range map[string]bool{"stopped": true, "running": false} {
		s, reference := serve(t), ids.New(id.Deployment)
		d := running(reference)
		s.respond = func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				d["status"] = after
				w.WriteHeader(http.StatusConflict)
				_, _ = io.WriteString(w, `{"success":false,"error":{"code":"CONFLICT","message":"No."}}`)
				return
			}
			_ = json.NewEncoder(w).Encode(
				map[string]any{
					"success": true, "data": []any{d},
					"pagination": map[string]int{"page": 1, "limit": 100, "total": 1, "totalPages": 1},
				},
			)
		}
		err := s.open(t).PowerOff(t.Context(), reference)
		if good && err != nil || !good && provider.KindOf(err) != provider.KindRejected {
			t.Errorf("%s afterwards: got %v", after, err)
		}
	}
}

func TestAdapter_TwoMachinesOfOneReference(t *testing.T) {
	s, reference := serve(t), ids.New(id.Deployment)
	a, b := running(reference), running(reference)
	b["id"], b["name"], b["tags"] = "dep_other", "renamed", []string{"mine", "billet:" + upstream.Mark(reference)}
	s.page["/deployments"] = []map[string]any{a, b}
	l := s.open(t)
	_, err := l.Machine(t.Context(), reference)
	providertest.WantKind(t, "Machine", err, provider.KindUnavailable)
	_, err = l.Launch(t.Context(), provider.LaunchRequest{Reference: reference, OfferKey: "up:off_1"})
	providertest.WantKind(t, "Launch", err, provider.KindUnavailable)
	if all, err := l.Machines(t.Context()); err != nil || len(all) != 2 || all[1].Reference != reference {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestAdapter_ReadsAllPages(t *testing.T) {
	s := serve(t)
	var references []id.ID
	for range 120 {
		references = append(references, ids.New(id.Deployment))
		s.page["/deployments"] = append(s.page["/deployments"], running(references[len(references)-1]))
	}
	b := s.open(t)
	if all, err := b.Machines(t.Context()); err != nil || len(all) != 120 {
		t.Fatalf("%d machines, %v", len(all), err)
	}
	providertest.WantMachine(t, b, references[119], provider.MachineReady)
	_, err := b.Machine(t.Context(), ids.New(id.Deployment))
	providertest.WantKind(t, "Machine of nothing", err, provider.KindNotFound)
	s.Advance(time.Hour)
	s.InjectFault(providertest.Fault{Kind: providertest.BadGateway, After: 1})
	_, err = b.Machine(t.Context(), ids.New(id.Deployment))
	providertest.WantKind(t, "Machine of nothing with half a list", err, provider.KindUnavailable)
}

// Two replicas launch machines: a list that one of them fetched slowly lacks what the other has
// launched meanwhile, and is no proof that there is none.
func TestAdapter_SlowListHidesNoMachine(t *testing.T) {
	s := serve(t)
	first, second := ids.New(id.Deployment), ids.New(id.Deployment)
	s.page["/deployments"] = []map[string]any{running(first)}
	respond := s.handleList
	s.respond = func(w http.ResponseWriter, r *http.Request) {
		s.respond = nil
		s.Advance(18 * time.Second)
		respond(w, r)
	}
	b := s.open(t)
	if _, err := b.Machine(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	s.change(func() { s.page["/deployments"] = append(s.page["/deployments"], running(second)) })
	s.Advance(15 * time.Second)
	if m, err := b.Machine(t.Context(), second); err != nil || m.State != provider.MachineReady {
		t.Errorf("got %+v, %v; want the machine that another replica launched", m, err)
	}
}

func TestAdapter_MalformedListsAreUnavailable(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"success":true}`, `{"success":true,"data":null,"pagination":{"total":0}}`, `{"success":true,"data":[]}`,
		`[]`, `{"data":{}}`, `{"data":[{"name":"x"}],"pagination":{"total":1}}`,
		`{"data":[{"id":7}],"pagination":{"total":1}}`, `{"data":[],"pagination":{"total":5}}`,
	} {
		s := serve(t)
		s.respond = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
		b := s.open(t)
		_, err := b.Machine(t.Context(), ids.New(id.Deployment))
		providertest.WantKind(t, body, err, provider.KindUnavailable)
		providertest.WantKind(t, body, b.Terminate(t.Context(), ids.New(id.Deployment)), provider.KindUnavailable)
		_, err = b.Volume(t.Context(), ids.New(id.Volume))
		providertest.WantKind(t, body, err, provider.KindUnavailable)
		providertest.WantKind(t, body, b.DeleteVolume(t.Context(), ids.New(id.Volume)), provider.KindUnavailable)
	}
}

func TestAdapter_ErrorKinds(t *testing.T) {
	for _, x := range []struct {
		status int
		code   string
		kind   provider.Kind
	}{
		{400, "INVALID_REQUEST", provider.KindRejected}, {400, "MINIMUM_RUNTIME_NOT_MET", provider.KindRejected},
		{400, "UNSUPPORTED_BY_PROVIDER", provider.KindUnsupported},
		{401, "INVALID_API_KEY", provider.KindCredentials}, {401, "EXPIRED_API_KEY", provider.KindCredentials},
		{401, "REVOKED_API_KEY", provider.KindCredentials},
		{403, "INSUFFICIENT_SCOPE", provider.KindCredentials}, {403, "NETWORK_NOT_ALLOWED", provider.KindCredentials},
		{402, "INSUFFICIENT_BALANCE", provider.KindQuota},
		{404, "NOT_FOUND", provider.KindNotFound}, {409, "OFFER_UNAVAILABLE", provider.KindNoCapacity},
		{409, "CONFLICT", provider.KindRejected},
		{409, "IDEMPOTENCY_KEY_REUSED", provider.KindUnavailable}, {408, "REQUEST_TIMEOUT", provider.KindUnavailable},
		{429, "RATE_LIMIT_EXCEEDED", provider.KindThrottled},
		{500, "INTERNAL_ERROR", provider.KindUnavailable}, {503, "SERVICE_UNAVAILABLE", provider.KindUnavailable},
		{500, "OFFER_UNAVAILABLE", provider.KindUnavailable},
		{400, "SOMETHING_NEW", provider.KindRejected}, {403, "SOMETHING_NEW", provider.KindCredentials},
	} {
		s := serve(t)
		s.page["/deployments"] = nil
		s.respond = func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, `{"success":true,"data":[],"pagination":{"total":0}}`)
				return
			}
			w.Header().Set("Retry-After", "41")
			w.WriteHeader(x.status)
			_, _ = fmt.Fprintf(w, `{"success":false,"error":{"code":%q,"message":"m"}}`, x.code)
		}
		_, err := s.open(t).Launch(
			t.Context(),
			provider.LaunchRequest{
				Reference: ids.New(id.Deployment), OfferKey: "up:off_1", AuthorizedKeys: []string{"ssh-ed25519 AAAA"},
			},
		)
		if e := providertest.WantKind(t, fmt.Sprint(x), err, x.kind); e.RetryAfter != 41*time.Second {
			t.Errorf("%+v: again after %s", x, e.RetryAfter)
		}
	}
}

// The other Billet counts deploys separately.
func TestAdapter_ThrottledDeployPausesNoReads(t *testing.T) {
	s := serve(t)
	s.page["/deployments"] = nil
	b := s.open(t)
	s.InjectFault(providertest.Fault{Kind: providertest.Throttled, Writes: true})
	_, err := b.Launch(
		t.Context(),
		provider.LaunchRequest{
			Reference: ids.New(id.Deployment), OfferKey: "up:off_1", AuthorizedKeys: []string{"ssh-ed25519 AAAA"},
		},
	)
	providertest.WantKind(t, "Launch", err, provider.KindThrottled)
	if _, err := b.Machines(t.Context()); err != nil {
		t.Error(err)
	}
}

// A hundred machines are polled for ten minutes within the default limits of a key.
func TestAdapter_HundredMachinesStayWithinTheBudget(t *testing.T) {
	s := serve(t)
	var references []id.ID
	for range 100 {
		references = append(references, ids.New(id.Deployment))
		s.page["/deployments"] = append(s.page["/deployments"], running(references[len(references)-1]))
	}
	for _, path := range []string{"/offers", "/volumes", "/volumes/pricing"} {
		s.page[path] = nil
	}
	for i := range 1000 {
		s.page["/offers"] = append(s.page["/offers"], map[string]any{"id": fmt.Sprint("off_", i)})
	}
	b := s.open(t)
	began, before := s.Clock.Now(), len(s.Requests())
	providertest.Poll(t, b, references, 10*time.Minute, s.Advance)
	took, sent := s.Clock.Now().Sub(began), len(s.Requests())-before
	if perMinute := float64(sent) / took.Minutes(); took > 12*time.Minute || perMinute > 30 {
		t.Errorf("got %d requests in %s, want at most 30 a minute and 12 minutes", sent, took)
	}
}
