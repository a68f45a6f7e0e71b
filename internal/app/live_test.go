package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/prometheus/client_golang/prometheus"
)

// The machine and the volume that ironCloud shows with the right key and settings.
const (
	ironMachine = id.ID("dep_01")
	ironVolume  = id.ID("vol_01")
)

// ironCloud is a cloud that shows a machine and a volume to the key "right" of the team "red".
type ironCloud struct{ account upstream.Account }

func (c *ironCloud) shows() bool {
	return c.account.Credential == "right" && c.account.Settings["team"] == "red"
}

func (c *ironCloud) Info() provider.Info {
	return provider.Info{
		Slug: c.account.Slug, Name: c.account.Name, SyncEvery: time.Minute, PollEvery: time.Minute,
		LaunchLimit: time.Hour,
	}
}
func (c *ironCloud) Offers(context.Context) ([]provider.Offer, error) { return nil, nil }
func (c *ironCloud) Machines(context.Context) (all []provider.Machine, err error) {
	if c.account.Credential == "refused" {
		return nil, errors.New("401")
	}
	if c.shows() {
		all = []provider.Machine{{Reference: ironMachine, ID: "m1", State: provider.MachineReady}}
	}
	return all, nil
}
func (c *ironCloud) Machine(context.Context, id.ID) (m provider.Machine, err error) {
	return m, &provider.Error{Kind: provider.KindNotFound}
}
func (c *ironCloud) Launch(context.Context, provider.LaunchRequest) (m provider.Machine, err error) {
	return m, errors.New("nothing is launched here")
}
func (c *ironCloud) Terminate(context.Context, id.ID) error { return errors.New("nothing ends here") }
func (c *ironCloud) VolumePricing(context.Context) ([]provider.VolumePricing, error) {
	return nil, nil
}
func (c *ironCloud) CreateVolume(context.Context, provider.VolumeRequest) (v provider.Volume, err error) {
	return v, errors.New("nothing is created here")
}
func (c *ironCloud) Volume(context.Context, id.ID) (v provider.Volume, err error) {
	return v, &provider.Error{Kind: provider.KindNotFound}
}
func (c *ironCloud) Volumes(context.Context) (all []provider.Volume, err error) {
	if c.shows() {
		all = []provider.Volume{{Reference: ironVolume, ID: "v1"}}
	}
	return all, nil
}
func (c *ironCloud) GrowVolume(context.Context, id.ID, int64) error   { return nil }
func (c *ironCloud) DeleteVolume(context.Context, id.ID) error        { return nil }
func (c *ironCloud) AttachVolume(_ context.Context, _, _ id.ID) error { return nil }
func (c *ironCloud) DetachVolume(context.Context, id.ID) error        { return nil }

// ironKinds has the kind "iron", whose adapter refuses the team "unknown".
var ironKinds = []provideraccount.Kind{{
	Word: "iron", Name: "Iron", Settings: map[string]string{"team": "The team that pays."},
	Open: func(a upstream.Account) (provider.Provider, error) {
		if a.Settings["team"] == "unknown" {
			return nil, errors.New("the team is unknown")
		}
		return &ironCloud{a}, nil
	},
}}

// withIron opens a server whose only kind of cloud is iron.
func withIron(t *testing.T, c Config) *App {
	t.Helper()
	o, err := OpenOperator(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	o.ProviderAccounts = provideraccount.New(o.secrets, ironKinds)
	a := &App{Operator: o, cfg: c, metrics: prometheus.NewRegistry(), loops: newLoops(time.Now)}
	a.closers = []func() error{o.Close}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func addIron(t *testing.T, o *Operator, slug string) {
	t.Helper()
	p := provideraccount.Provider{Kind: "iron", Slug: slug, Settings: map[string]string{"team": "red"}}
	if _, err := o.AddProvider(t.Context(), p, "right"); err != nil {
		t.Fatal(err)
	}
}

func (o *Operator) mustExec(t *testing.T, query string, args ...any) {
	t.Helper()
	if err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// put inserts a row with the columns, and a plain value in each column that must have one.
func (o *Operator) put(t *testing.T, table, texts, numbers string, columns map[string]any) {
	t.Helper()
	row := map[string]any{}
	for _, name := range strings.Fields(texts) {
		row[name] = ""
	}
	for _, name := range strings.Fields(numbers) {
		row[name] = 0
	}
	maps.Copy(row, columns)
	names, args := slices.Sorted(maps.Keys(row)), []any{}
	for _, name := range names {
		args = append(args, row[name])
	}
	o.mustExec(t, `INSERT INTO `+table+` (`+strings.Join(names, ", ")+`) VALUES `+db.In(1, len(args)), args...)
}

func (o *Operator) putDeployment(t *testing.T, columns map[string]any) {
	t.Helper()
	o.put(t, "deployment", `account_id name cause reason provider region offer_id offer_key gpu_type instance_type
		operating_system capabilities authorized_keys cloud_init steps action action_argument machine_id address
		ssh_user ssh_host_keys status`, `gpu_count hourly_price cost_price ssh_port minimum_runtime
		termination_protection created_at launch_by`, columns)
}

func (o *Operator) putVolume(t *testing.T, columns map[string]any) {
	t.Helper()
	o.put(t, "volume", `account_id name provider region status reason deployment_id mount_path`,
		`size_gb wanted_size_gb hourly_price_per_gb created_at status_since changes`, columns)
}

func TestAccountThatCannotBeOpened(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		log := &strings.Builder{}
		c.Log = slog.New(slog.NewTextHandler(log, nil))
		a := withIron(t, c)
		addIron(t, a.Operator, "good")
		addIron(t, a.Operator, "sealed")
		addIron(t, a.Operator, "refused")
		if err := a.build(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.startPeriodic(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.putDeployment(t, map[string]any{
			"id": "dep_01", "provider": "sealed", "status": "running", "machine_id": "m1", "started_at": 1,
		})
		a.mustExec(t, `UPDATE provider_account SET credential = 'x' WHERE slug = 'sealed'`)
		a.mustExec(t, `UPDATE provider_account SET settings = '{"team": "unknown"}' WHERE slug = 'refused'`)
		a.mustExec(t, `UPDATE provider_account_version SET version = version + 1`)

		next := withIron(t, c) // on the same database
		if err := next.build(t.Context()); err != nil {
			t.Fatalf("a server does not start: %v", err)
		}
		for slug, want := range map[string]string{"sealed": "cannot be decrypted", "refused": "the team is unknown"} {
			if err := next.live.failed()[slug]; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got error %v, want %q", slug, err, want)
			}
			if !strings.Contains(log.String(), "provider="+slug) {
				t.Errorf("the log does not name %s:\n%s", slug, log)
			}
			subject := job.Subject("provider", slug)
			for what, run := range map[string]job.Handler{
				"sync": next.services.catalog.Sync, "watch": next.services.deployments.Watch,
				"volume watch": next.services.volumes.Watch,
			} {
				if out, err := run(t.Context(), subject); err != nil || out == job.Done() {
					t.Errorf("%s of %s: got %+v, %v, want that it waits", what, slug, out, err)
				}
			}
		}
		if _, known := next.services.providers.Get("good"); !known {
			t.Error("the other account is not used")
		}
		if _, err := next.services.deployments.Reconcile(t.Context(), "dep_01"); err == nil {
			t.Error("the machine of an account that cannot be opened was reconciled")
		}
		var status string
		if err := next.DB.QueryRow(t.Context(), `SELECT status FROM deployment`).Scan(&status); err != nil ||
			status != "running" {
			t.Errorf("the machine's deployment: got %s, %v, want running", status, err)
		}
		testErrorState(t, next)
		testAnnounced(t, next)
	})
}

// testAnnounced announces something to those with machines at an account that cannot be opened.
func testAnnounced(t *testing.T, a *App) {
	t.Helper()
	a.put(t, "catalog_offer", "gpu_type interconnect instance_type region_name country",
		`gpu_count gpu_memory_gb vcpus memory_gb storage_gb cost_price hourly_price available minimum_runtime
		launch_limit`, map[string]any{
			"id": "off_1", "provider": "sealed", "region": "oslo-1", "offer_key": "x", "withdrawn": 1,
			"operating_systems": "[]", "capabilities": "{}",
		})
	title, ends := "Maintenance", a.Clock.Now().Add(time.Hour)
	announce := func(provider, region string) error {
		return a.DB.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := a.Announcements.Create(ctx, tx, announcement.Draft{
				Title: &title, EndsAt: &ends, Provider: &provider, Region: &region,
			})
			return err
		})
	}
	for _, to := range [][2]string{{"sealed", ""}, {"sealed", "oslo-1"}, {"refused", ""}, {"good", ""}} {
		if err := announce(to[0], to[1]); err != nil {
			t.Errorf("announce to %v: %v", to, err)
		}
	}
	for _, to := range [][2]string{{"sealed", "mars"}, {"unknown", ""}, {"", "oslo-1"}} {
		if err := announce(to[0], to[1]); apierr.CodeOf(err) != apierr.InvalidRequest {
			t.Errorf("announce to %v: got %v, want that it is refused", to, err)
		}
	}
}

// testErrorState reads the accounts over the API.
func testErrorState(t *testing.T, a *App) {
	t.Helper()
	owner, err := a.CreateAccount(t.Context(), "Operator", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := a.CreateKey(t.Context(), owner.ID, account.KeyRequest{
		Name: "console", Scopes: []account.Scope{account.ReadOperator},
	}, spendlimit.SpendingLimits{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/v1/operator/provider-accounts", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	var answer struct {
		Data []struct {
			Slug, State, Status, LastError string
			Stored                         bool
			Remaining                      int
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Data) != 3 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	for _, one := range answer.Data {
		want := map[string]string{"good": "active", "sealed": "error", "refused": "error"}[one.Slug]
		if one.State != want || !one.Stored || (want == "error") != (one.LastError != "") {
			t.Errorf("got %+v, want state %s", one, want)
		}
		if one.Slug == "sealed" && (one.Remaining != 1 || one.Status != "down") {
			t.Errorf("got %+v, want 1 remaining", one)
		}
	}
}

func TestChangeKeepsBackoffOfOtherAccounts(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		a := withIron(t, c)
		addIron(t, a.Operator, "one")
		addIron(t, a.Operator, "two")
		if err := errors.Join(a.build(t.Context()), a.startPeriodic(t.Context())); err != nil {
			t.Fatal(err)
		}
		a.mustExec(t, `UPDATE job SET failures = 5, run_at = run_at + 3600000000`)
		if _, err := a.ChangeProviderKey(t.Context(), "two", "another", true); err != nil {
			t.Fatal(err)
		}
		if err := a.live.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for slug, want := range map[string]int{"one": 5, "two": 0} {
			for _, kind := range []job.Kind{catalog.KindSync, deployment.KindWatch, volume.KindWatch} {
				var got int
				if err := a.DB.QueryRow(t.Context(), `SELECT failures FROM job WHERE kind = $1 AND subject = $2`,
					kind, job.Subject("provider", slug)).Scan(&got); err != nil || got != want {
					t.Errorf("%s of %s: got %d failures, %v, want %d", kind, slug, got, err, want)
				}
			}
		}
	})
}

func TestBrake(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		a := withIron(t, c)
		addIron(t, a.Operator, "iron")
		red, blue := map[string]string{"team": "red"}, map[string]string{"team": "blue"}
		name := "Renamed"
		type change = provideraccount.Update
		machine := map[string]any{
			"id": ironMachine, "provider": "iron", "status": "running", "machine_id": "m1", "started_at": 1,
		}
		unanswered := map[string]any{"id": ironMachine, "provider": "iron", "status": "deploying", "launch_open_at": 1}
		stored := map[string]any{"id": ironVolume, "provider": "iron", "status": "available"}
		for what, test := range map[string]struct {
			deployment, volume map[string]any
			update             change
			want               string // "" where the change is allowed
		}{
			"nothing there":           {nil, nil, change{Credential: "wrong"}, ""},
			"a machine":               {machine, nil, change{Credential: "wrong"}, "none of the 1 machines and 0"},
			"a machine, listed":       {machine, nil, change{Credential: "right"}, ""},
			"a machine, not listable": {machine, nil, change{Credential: "refused"}, "cannot be listed (401)"},
			"a machine, settings":     {machine, nil, change{Settings: blue}, "none of the 1 machines"},
			"a machine, same":         {machine, nil, change{Settings: red}, ""},
			"a machine, name":         {machine, nil, change{Name: &name}, ""},
			"a launch, key":           {unanswered, nil, change{Credential: "wrong"}, "none of the 1 machines"},
			"a launch, settings":      {unanswered, nil, change{Settings: blue}, "none of the 1 machines"},
			"a volume, key":           {nil, stored, change{Credential: "wrong"}, "0 machines and 1 volumes"},
			"a volume, settings":      {nil, stored, change{Settings: blue}, "0 machines and 1 volumes"},
			"a volume, listed":        {nil, stored, change{Credential: "right"}, ""},
		} {
			if test.deployment != nil {
				a.putDeployment(t, test.deployment)
			}
			if test.volume != nil {
				a.putVolume(t, test.volume)
			}
			err := a.brake(t.Context(), "iron", test.update)
			if got := apierr.CodeOf(err); test.want == "" && err != nil ||
				test.want != "" && (got != apierr.Conflict || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%s: got %v, want %q", what, err, test.want)
			}
			a.mustExec(t, `DELETE FROM deployment`)
			a.mustExec(t, `DELETE FROM volume`)
		}
	})
}

func TestRemoveProvider(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		a := withIron(t, c)
		addIron(t, a.Operator, "iron")
		if err := errors.Join(a.build(t.Context()), a.startPeriodic(t.Context())); err != nil {
			t.Fatal(err)
		}
		refused := func(what, want string) {
			t.Helper()
			err := a.RemoveProvider(t.Context(), "iron")
			if apierr.CodeOf(err) != apierr.Conflict || !strings.Contains(err.Error(), want) {
				t.Errorf("with %s: got %v, want %q", what, err, want)
			}
		}
		refused("an active account", "Drain or pause iron first")
		a.put(t, "issue", "upstream_id reference deployment_id volume_id detail note problem",
			"endable first_seen_at last_seen_at held",
			map[string]any{
				"id": "iss_1", "kind": "orphaned_machine", "provider": "iron", "subject": "m9", "state": "open",
			})
		refused("an orphan", "that no account has")
		a.mustExec(t, `UPDATE issue SET state = 'dismissed'`)
		if p, err := a.SetProviderUse(t.Context(), "iron", provider.Draining); err != nil || p.DrainingAt == nil {
			t.Fatalf("drain: got %+v, %v", p, err)
		}
		refused("a drain that not every server knows", "45 seconds later")
		a.mustExec(t, `UPDATE provider_account SET draining_at = draining_at - 60000000`)
		for what, row := range map[string]map[string]any{
			"1 deployments": {"provider": "iron", "status": "running", "machine_id": "m1", "started_at": 1},
			// The end of a failed launch without an answer is not confirmed.
			"1 deployments and 0 volumes": {"provider": "iron", "status": "failed", "launch_open_at": 1},
			"candidate of 1 deployments": {
				"provider": "other", "status": "pending", "plans": `[{"provider": "third"}, {"provider": "iron"}]`,
			},
		} {
			row["id"] = ironMachine
			a.putDeployment(t, row)
			refused(what, what)
			a.mustExec(t, `DELETE FROM deployment`)
		}
		a.putVolume(t, map[string]any{"id": ironVolume, "provider": "iron", "status": "available"})
		refused("a volume", "1 volumes")
		a.mustExec(t, `DELETE FROM volume`)
		// What is over does not count.
		a.putDeployment(t, map[string]any{
			"id": ironMachine, "provider": "other", "status": "running", "started_at": 1, "released_at": 2,
			"plans": `[{"provider": "iron"}]`,
		})
		if err := a.RemoveProvider(t.Context(), "iron"); err != nil {
			t.Fatal(err)
		}
		var jobs int
		if err := a.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM job WHERE subject = 'provider/iron'`).
			Scan(&jobs); err != nil || jobs != 0 {
			t.Errorf("jobs of a removed provider: got %d, %v, want none", jobs, err)
		}
		var known int
		if err := a.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM catalog_provider WHERE provider = 'iron'`).
			Scan(&known); err != nil || known != 0 {
			t.Errorf("health of a removed provider: got %d rows, %v, want none", known, err)
		}
	})
}
