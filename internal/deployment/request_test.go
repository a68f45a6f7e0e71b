package deployment_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

func of[T any](v T) *T { return &v }

func TestCreate_ReportsEveryProblem(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(100))
		req := deployment.CreateRequest{
			OfferID: pageOffer, Provider: of("northgrid"), GPUType: of("NVIDIA A100"), GPUCount: of(4),
			Region: of("oslo-nor-2"), InstanceType: of("VM"), OperatingSystem: of("Plan 9"),
			Name: strings.Repeat("x", 65), SSHPublicKey: of("ssh-ed25519 AAAA... user@machine"),
			CloudInit: of("#!/bin/sh"), Tags: []string{"a", "a", "b\n"}, AutoTerminateAt: of(r.clock.Now()),
			MaxHourlyPrice: of(money.Micros(0)), VolumeIDs: []id.ID{"vol_x", "vol_x"},
		}
		_, err := r.create(a, req)
		e, is := errors.AsType[*apierr.Error](err)
		if !is || e.Code != apierr.InvalidRequest {
			t.Fatal(err)
		}
		var fields []string
		for _, f := range e.Fields() {
			fields = append(fields, f.Field)
			if f.Message == "" {
				t.Errorf("%s: no message", f.Field)
			}
		}
		for _, want := range []string{
			"provider", "gpuType", "gpuCount", "region", "instanceType", "operatingSystem", "name", "ssh_public_key",
			"cloudInit", "tags[1]", "tags[2]", "autoTerminateAt", "maxHourlyPrice", "volumeIds[1]",
		} {
			if !slices.Contains(fields, want) {
				t.Errorf("%s is not named in %v", want, fields)
			}
		}
		if w := r.walletOf(a); w.Held != 0 {
			t.Fatalf("%+v", w)
		}
	})
}

func TestCreate_InvalidField(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, other := r.account(money.Dollars(1000)), r.account(0)
		var foreign id.ID
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			k, err := r.keys.Create(ctx, tx, other, "theirs", publicKey(t), creator.ByOperator)
			foreign = k.ID
			return err
		}))
		for name, c := range map[string]struct {
			change func(q *deployment.CreateRequest)
			code   apierr.Code
			field  string
		}{
			"no offer": {func(q *deployment.CreateRequest) { q.OfferID = "" }, apierr.InvalidRequest, "offerId"},
			"unknown offer": {func(q *deployment.CreateRequest) {
				q.OfferID = "off_nosuch"
			}, apierr.NotFound, "offerId"},
			"no name": {func(q *deployment.CreateRequest) { q.Name = "" }, apierr.InvalidRequest, "name"},
			"no key": {func(q *deployment.CreateRequest) {
				q.SSHPublicKey = nil
			}, apierr.InvalidRequest, "ssh_public_key"},
			"two keys": {func(q *deployment.CreateRequest) {
				q.SSHKeyID = of(foreign)
			}, apierr.InvalidRequest, "ssh_public_key"},
			"unknown key": {func(q *deployment.CreateRequest) {
				q.SSHPublicKey, q.SSHKeyID = nil, of(id.ID("ssh_nosuch"))
			}, apierr.NotFound, "sshKeyId"},
			"another account's key": {func(q *deployment.CreateRequest) {
				q.SSHPublicKey, q.SSHKeyIDs = nil, []id.ID{foreign}
			}, apierr.NotFound, "sshKeyIds"},
			"a key twice": {func(q *deployment.CreateRequest) {
				q.SSHPublicKey, q.SSHKeyIDs = nil, []id.ID{foreign, foreign}
			}, apierr.InvalidRequest, "sshKeyIds[1]"},
			"unknown volume": {func(q *deployment.CreateRequest) {
				q.VolumeIDs = []id.ID{"vol_nosuch"}
			}, apierr.NotFound, "volumeIds"},
			"too many volumes": {func(q *deployment.CreateRequest) {
				q.VolumeIDs = make([]id.ID, 9)
			}, apierr.InvalidRequest, "volumeIds"},
			"too many tags": {func(q *deployment.CreateRequest) {
				q.Tags = make([]string, 21)
			}, apierr.InvalidRequest, "tags"},
			"too long a cloud-init": {func(q *deployment.CreateRequest) {
				q.CloudInit = of("#cloud-config\n" + strings.Repeat("#", 64<<10))
			}, apierr.InvalidRequest, "cloudInit"},
			"no YAML in cloud-init": {func(q *deployment.CreateRequest) {
				q.CloudInit = of("#cloud-config\n- a\n- b")
			}, apierr.InvalidRequest, "cloudInit"},
			"NUL in cloud-init": {func(q *deployment.CreateRequest) {
				q.CloudInit = of("#cloud-config\na: \"\x00\"")
			}, apierr.InvalidRequest, "cloudInit"},
			"ends before it may": {func(q *deployment.CreateRequest) {
				q.AutoTerminateAt = of(r.clock.Now().Add(24 * time.Minute))
			}, apierr.InvalidRequest, "autoTerminateAt"},
			"ends in the far future": {func(q *deployment.CreateRequest) {
				q.AutoTerminateAt = of(r.clock.Now().AddDate(6, 0, 0))
			}, apierr.InvalidRequest, "autoTerminateAt"},
			"the price has risen": {func(q *deployment.CreateRequest) {
				q.MaxHourlyPrice = of(money.Dollars(1))
			}, apierr.Conflict, ""},
		} {
			req := request(t)
			c.change(&req)
			_, err := r.create(a, req)
			if e, is := errors.AsType[*apierr.Error](err); !is || e.Code != c.code ||
				(c.field != "" && (len(e.Fields()) != 1 || e.Fields()[0].Field != c.field)) {
				t.Errorf("%s: %v %v", name, err, e)
			}
		}
		_, total, err := r.deployments.List(t.Context(), r.db, a, deployment.Filter{}, firstPage)
		if err != nil || total.Total != 0 {
			t.Fatalf("%d deployments were created, %v; want none", total.Total, err)
		}
	})
}

func TestCreate_MaximumOfTags(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		req := request(t)
		for i := range deployment.MaxTags {
			req.Tags = append(req.Tags, fmt.Sprintf("tag-%02d", i))
		}
		d, err := r.create(r.account(money.Dollars(1000)), req)
		if err != nil || !slices.Equal(d.Tags, req.Tags) {
			t.Errorf("Create with %d tags = %q, %v", deployment.MaxTags, d.Tags, err)
		}
	})
}

func TestCreate_ChecksTheBalanceFirst(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		for _, c := range []struct {
			offer   id.ID
			balance money.Micros
			says    string
		}{
			{pageOffer, money.Dollars(50) - 1, "Insufficient balance. You need at least $50.00 to deploy."},
			{"", money.Dollars(50), "first hour costs"},
		} {
			a, req := r.account(c.balance), request(t)
			if c.offer == "" { // one whose hour costs more than the minimum
				r.fake.set(func() { r.fake.price = money.Dollars(60) })
				r.pass(time.Minute)
			}
			for _, dry := range []bool{true, false} {
				req.DryRun = dry
				_, err := r.create(a, req)
				if r.code(err) != apierr.InsufficientBalance || !strings.Contains(err.Error(), c.says) {
					t.Errorf("dry run %t: %v", dry, err)
				}
			}
		}
	})
}

func TestCreate_DryRun(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, req := r.account(money.Dollars(100)), request(t)
		req.DryRun = true
		d, err := r.create(a, req)
		if err != nil || !d.DryRun || d.HourlyPrice == 0 || d.OperatingSystem != "Ubuntu 22.04" {
			t.Fatalf("%+v %v", d, err)
		}
		r.pass(time.Minute)
		if w := r.walletOf(a); w.Held != 0 || len(r.upstream()) != 0 {
			t.Fatalf("%+v, upstream %v", w, r.upstream())
		}
	})
}

func TestService_List_ByCost(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		var first id.ID
		for _, name := range []string{"gamma", "Alpha", "beta"} {
			req := request(t)
			req.Name = name
			d, err := r.create(a, req)
			r.must(err)
			first = cmp.Or(first, d.ID)
		}
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO meter (subject, account_id, description, name, provider, region,
				gpu_type, hourly_price, started_at, hours, cost)
				VALUES ($1, $2, '', '', '', '', '', 1, 0, 1, 500)`, first, a)
			return err
		}))
		for want, sort := range map[string][]deployment.SortKey{
			"gamma beta Alpha": {"-costToDate"}, "Alpha beta gamma": {"costToDate", "name"},
		} {
			var got []string
			for p := (db.Page{Number: 1, Limit: 1}); ; { // page by page, with the cursor
				rows, of, err := r.deployments.List(t.Context(), r.db, a, deployment.Filter{Sort: sort}, p)
				r.must(err)
				got = append(got, rows[0].Name)
				if p.After = of.Next; of.Next == nil {
					break
				}
			}
			if text := strings.Join(got, " "); text != want {
				t.Errorf("sorted by %v: got %q, want %q", sort, text, want)
			}
		}
	})
}

func TestService_ListAndUpdate(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, other := r.account(money.Dollars(1000)), r.account(money.Dollars(1000))
		var ids []id.ID
		for i, name := range []string{"beta", "Alpha", "gamma"} {
			req := request(t)
			req.Name, req.Tags = name, []string{"all", "t" + string(rune('0'+i))}
			d, err := r.create(a, req)
			r.must(err)
			ids = append(ids, d.ID)
		}
		theirs := r.deploy(other)
		names := func(f deployment.Filter) string {
			list, total, err := r.deployments.List(t.Context(), r.db, a, f, db.Page{Number: 1, Limit: 10})
			r.must(err)
			if total.Total != len(list) {
				t.Errorf("total %d of %d", total.Total, len(list))
			}
			var out []string
			for _, d := range list {
				out = append(out, d.Name)
			}
			return strings.Join(out, " ")
		}
		for want, f := range map[string]deployment.Filter{
			"gamma Alpha beta":  {},
			"beta Alpha gamma":  {Sort: []deployment.SortKey{"createdAt", "-name"}},
			"Alpha beta gamma":  {Sort: []deployment.SortKey{"hourlyPrice", "name"}, Tag: "all"},
			"gamma beta Alpha":  {Sort: []deployment.SortKey{"-name", "createdAt"}},
			"Alpha":             {Tag: "t1"},
			"gamma Alpha beta ": {Statuses: []deployment.Status{deployment.StatusPending, deployment.StatusRunning}},
			"":                  {Statuses: []deployment.Status{deployment.StatusRunning}},
			" ":                 {Provider: "northgrid"},
			"Alpha ": {
				Search: "LPH", Region: "dallas-usa-5", Provider: slug, Tag: "all",
				Statuses: []deployment.Status{deployment.StatusPending},
			},
		} {
			if got := names(f); got != strings.TrimSpace(want) {
				t.Errorf("%+v: %q, want %q", f, got, want)
			}
		}
		page, total, err := r.deployments.List(t.Context(), r.db, a, deployment.Filter{}, db.Page{Number: 2, Limit: 2})
		if err != nil || total.Total != 3 || len(page) != 1 || page[0].Name != "beta" ||
			!slices.Equal(page[0].Tags, []string{"all", "t0"}) {
			t.Fatalf("%+v of %d, %v", page, total.Total, err)
		}
		update := func(account, d id.ID, u deployment.UpdateRequest) (x deployment.Deployment, err error) {
			err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
				x, err = r.deployments.Update(ctx, tx, account, d, u)
				return err
			})
			return x, err
		}
		x, err := update(
			a,
			ids[0],
			deployment.UpdateRequest{Name: of("delta"), Tags: &[]string{"z", "y"}, TerminationProtection: of(true)},
		)
		if err != nil || x.Name != "delta" || !x.TerminationProtection ||
			!slices.Equal(r.get(a, ids[0]).Tags, []string{"z", "y"}) {
			t.Fatalf("%+v %v", x, err)
		}
		r.pass(26 * time.Minute)
		if _, _, err := r.terminate(a, ids[0], false); r.code(err) != apierr.Conflict {
			t.Errorf("terminated although protected: %v", err)
		}
		for what, err := range map[string]error{
			"get": func() error { _, err := r.deployments.Get(t.Context(), r.db, a, theirs.ID); return err }(),
			"update": func() error {
				_, err := update(a, theirs.ID, deployment.UpdateRequest{Name: of("mine")})
				return err
			}(),
			"terminate": func() error { _, _, err := r.terminate(a, theirs.ID, false); return err }(),
			"can": func() error {
				_, err := r.deployments.CanTerminate(t.Context(), r.db, a, theirs.ID)
				return err
			}(),
			"wait": func() error {
				_, err := r.deployments.Wait(t.Context(), a, theirs.ID, deployment.StatusRunning, 0)
				return err
			}(),
		} {
			if r.code(err) != apierr.NotFound {
				t.Errorf("%s of another account's deployment: %v, want NOT_FOUND", what, err)
			}
		}
	})
}

func TestUpdate_NameOfLaterHours(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.deployments.Update(ctx, tx, a, d.ID, deployment.UpdateRequest{Name: of("renamed")})
			return err
		}))
		r.pass(time.Hour)
		lines, _, err := r.wallet.Transactions(
			t.Context(),
			r.db,
			a,
			wallet.Filter{Types: []wallet.Type{wallet.TypeCharge}},
			db.Page{Number: 1, Limit: 10},
		)
		r.must(err)
		if len(lines) != 2 || !strings.HasPrefix(lines[0].Description, "renamed: ") ||
			!strings.HasPrefix(lines[1].Description, "my-training-run: ") ||
			lines[0].Amount != lines[1].Amount {
			t.Fatalf("%+v", lines)
		}
	})
}

func TestWait(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.deploy(a)
		got := make(chan deployment.Deployment, 1)
		go func() {
			x, err := r.deployments.Wait(
				context.WithoutCancel(t.Context()),
				a,
				d.ID,
				deployment.StatusRunning,
				30*time.Second,
			)
			if err != nil {
				t.Error(err)
			}
			got <- x
		}()
		r.await(a, d.ID, deployment.StatusRunning)
		if x := <-got; x.Status != deployment.StatusRunning {
			t.Fatalf("%+v", x)
		}
		if x, err := r.deployments.Wait(t.Context(), a, d.ID, deployment.StatusTerminated, 0); err != nil ||
			x.Status != deployment.StatusRunning {
			t.Fatalf("a wait whose time is up: %+v %v", x, err)
		}
	})
}
