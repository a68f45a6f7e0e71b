package httpapi

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// ids are the ids of a list's entries.
func (r reply) ids() string {
	var out []string
	for _, one := range r.list {
		out = append(out, one.(map[string]any)["id"].(string))
	}
	return strings.Join(out, " ")
}

func TestTheOperatorListsAllDeploymentsAndVolumes(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		op := w.operator()
		first, second := string(w.deploy(w.ada)), string(w.deploy(w.bob))
		w.want(200, w.bob, "PATCH", Base+"/deployments/"+second, map[string]any{"name": "Crawler 50%"})
		for query, want := range map[string]string{
			"":                                 second + " " + first,
			"search=" + first:                  first,
			"search=" + string(w.ada.account):  first,
			"search=rawler":                    second,
			"search=50%25":                     second,
			"search=BOB":                       second,
			"search=unknown":                   "",
			"account=" + string(w.bob.account): second,
			"provider=voltage-park":            second + " " + first,
			"provider=other":                   "",
			"gpuType=NVIDIA+B200":              second + " " + first,
			"gpuType=NVIDIA+T4":                "",
			"status=running":                   "",
			"search=10.1.2.3":                  "",
			"status=pending,running&account=" + string(w.ada.account): first,
		} {
			if got := w.want(200, op, "GET", OperatorBase+"/deployments?"+query, nil).ids(); got != want {
				t.Errorf("deployments?%s: got %q, want %q", query, got, want)
			}
		}
		one := w.want(200, op, "GET", OperatorBase+"/deployments?limit=1", nil)
		next := one.header.Get("Link") + string(one.body)
		_, cursor, _ := strings.Cut(next, `"nextCursor":"`)
		cursor, _, _ = strings.Cut(cursor, `"`)
		page := w.want(200, op, "GET", OperatorBase+"/deployments?limit=1&cursor="+url.QueryEscape(cursor), nil)
		if one.ids() != second || page.ids() != first {
			t.Errorf("pages of one: got %q, then %q", one.ids(), page.ids())
		}
		owner := one.list[0].(map[string]any)
		if owner["accountId"] != string(w.bob.account) || owner["accountName"] != "Bob" {
			t.Errorf("owner: got %v, %v", owner["accountId"], owner["accountName"])
		}
		w.refused("INVALID_REQUEST", op, "GET", OperatorBase+"/deployments?account=Bob", nil)

		disk := w.want(201, w.ada, "POST", Base+"/volumes", map[string]any{
			"name": "Data", "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5",
		}).text("id")
		for query, want := range map[string]string{
			"": disk, "search=dat": disk, "search=" + disk: disk, "search=ada": disk, "search=" + first: "",
			"account=" + string(w.ada.account): disk, "account=" + string(w.bob.account): "", "status=creating": disk,
			"status=deleted": "", "provider=voltage-park": disk, "search=zzz": "",
		} {
			if got := w.want(200, op, "GET", OperatorBase+"/volumes?"+query, nil).ids(); got != want {
				t.Errorf("volumes?%s: got %q, want %q", query, got, want)
			}
		}
	})
}

func TestTheOperatorRetriesAFailingJob(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op := w.operator()
		w.deploy(w.ada)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE job SET failures = 3, last_error = 'no answer', run_at = run_at + 3600000000
				WHERE kind = 'deployment'`)
			return err
		})
		failing := w.want(200, op, "GET", OperatorBase+"/jobs", nil)
		at := OperatorBase + "/jobs/" + failing.ids() + "/retry"
		for range 2 {
			got := w.want(200, op, "POST", at, nil)
			next, err := time.Parse(time.RFC3339Nano, got.text("nextAt"))
			if err != nil || next.After(c.Now()) {
				t.Errorf("after retry it is due at %s, want now", got.text("nextAt"))
			}
		}
		w.refused("NOT_FOUND", op, "POST", OperatorBase+"/jobs/job_none/retry", nil)
	})
}

func TestTheOperatorTerminatesADeployment(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op, machine := w.operator(), string(w.deploy(w.ada))
		at := OperatorBase + "/deployments/" + machine + "/terminate"
		w.want(200, w.ada, "PATCH", Base+"/deployments/"+machine, map[string]any{"terminationProtection": true})
		if got := w.refused("INVALID_REQUEST", op, "POST", at, map[string]any{}).fields(); len(got) != 1 {
			t.Errorf("without a reason: got %v", got)
		}
		w.refused("INVALID_REQUEST", op, "POST", at, map[string]any{"reason": "  "})
		w.refused("NOT_FOUND", op, "POST", strings.Replace(at, machine, "dep_none", 1), map[string]any{"reason": "a"})
		const reason = "Abuse report 7: the machine scans networks."
		for range 2 { // the second changes nothing
			got := w.want(200, op, "POST", at, map[string]any{"reason": reason})
			if got.text("status") != "terminating" || got.text("accountId") != string(w.ada.account) {
				t.Errorf("got %s", got.body)
			}
		}
		seen := w.want(200, w.ada, "GET", Base+"/deployments/"+machine, nil)
		if seen.text("statusReason") != reason || seen.text("statusCause") != "operator" {
			t.Errorf("the tenant reads %q, cause %q", seen.text("statusReason"), seen.text("statusCause"))
		}
		if held := w.want(200, w.ada, "GET", Base+"/wallet", nil).data.(map[string]any)["held"]; held != 0.0 {
			t.Errorf("on hold after the end: %v", held)
		}
		w.user(w.ada, account.Owner, "ada-owner@example.com")
		w.user(w.bob, account.Owner, "bob-owner@example.com")
		for who, email := range map[string]string{"the tenant": "ada-owner@example.com",
			"the operator": "bob-owner@example.com"} {
			entries := w.by(200, w.cookie(email), "GET", AccountBase+"/audit?action=terminateAnyDeployment", nil).list
			if len(entries) != 1 || entries[0].(map[string]any)["subject"] != machine {
				t.Errorf("audit of %s: got %v, want one entry", who, entries)
			}
		}
	})
}
