package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/google/go-cmp/cmp"
)

// deployIn deploys for the key in the project and returns the deployment's id.
func (w *world) deployIn(who tenant, name, project string) id.ID {
	w.t.Helper()
	body := map[string]any{
		"offerId":         "off_abc123",
		"operatingSystem": "Ubuntu 22.04",
		"name":            name,
		"ssh_public_key":  publicKey(w.t),
	}
	if project != "" {
		body["project"] = project
	}
	return id.ID(w.want(http.StatusCreated, who, "POST", Base+"/deployments", body).text("id"))
}

func creatorIn(r reply) creator.Creator {
	return creator.Creator{
		Type: creator.Type(fmt.Sprint(dig(r.data, "createdBy", "type"))),
		ID:   id.ID(fmt.Sprint(dig(r.data, "createdBy", "id"))), Name: fmt.Sprint(dig(r.data, "createdBy", "name")),
	}
}

func TestCreatedByNamesTheKeyOrMember(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		grace := w.user(w.ada, account.Member, "grace@example.com")
		cookie := w.cookie("grace@example.com")
		key := creator.Creator{Type: creator.APIKey, ID: w.ada.key.ID, Name: w.ada.key.Name}
		user := creator.Creator{Type: creator.Member, ID: grace.ID, Name: grace.Called()}
		cases := map[string]struct {
			path string
			body map[string]any
		}{
			"deployment": {Base + "/deployments", map[string]any{
				"offerId": "off_abc123", "name": "n", "ssh_public_key": publicKey(t),
			}},
			"SSH key": {Base + "/ssh-keys", map[string]any{"name": "k", "publicKey": publicKey(t)}},
			"webhook": {Base + "/webhooks", map[string]any{"url": "https://example.com/hook"}},
		}
		for name, tt := range cases {
			t.Run(name, func(t *testing.T) {
				made := w.want(http.StatusCreated, w.ada, "POST", tt.path, tt.body)
				if diff := cmp.Diff(key, creatorIn(made)); diff != "" {
					t.Errorf("made by a key (-want +got):\n%s", diff)
				}
				got := w.want(http.StatusOK, w.ada, "GET", tt.path+"/"+made.text("id"), nil)
				if diff := cmp.Diff(key, creatorIn(got)); diff != "" {
					t.Errorf("read again (-want +got):\n%s", diff)
				}
				if name == "SSH key" {
					tt.body = map[string]any{"name": "k2", "publicKey": publicKey(t)}
				}
				by := w.by(http.StatusCreated, cookie, "POST", tt.path, tt.body)
				if diff := cmp.Diff(user, creatorIn(by)); diff != "" {
					t.Errorf("made by a user (-want +got):\n%s", diff)
				}
			})
		}
		list := w.want(http.StatusOK, w.ada, "GET", Base+"/deployments?createdBy="+string(grace.ID), nil)
		if len(list.list) != 1 || dig(list.list[0], "createdBy", "name") != user.Name {
			t.Errorf("deployments of the user: %s", list.body)
		}
		if r := w.want(http.StatusOK, w.bob, "GET", Base+"/deployments?createdBy="+string(grace.ID), nil); len(
			r.list,
		) != 0 {
			t.Errorf("another account sees deployments of the user: %s", r.body)
		}
	})
}

// projectKey creates a key of ada's account that is bound to the project.
func (w *world) projectKey(project string) tenant {
	w.t.Helper()
	out := w.ada
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		out.key, out.secret, err = w.c.Accounts.CreateKey(ctx, tx, w.ada.account, account.KeyRequest{
			Name: "of " + project, Project: project,
		})
		return err
	})
	return out
}

func TestKeyOfAProjectSeesOnlyItsProject(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		bound := w.projectKey("blue")
		theirs := w.deployIn(w.ada, "theirs", "red")
		w.deployIn(w.ada, "none", "")
		mine := w.deployIn(bound, "mine", "")

		got := w.want(http.StatusOK, bound, "GET", Base+"/deployments/"+string(mine), nil)
		same(t, "project of what the key makes", got.text("project"), "blue")
		w.refused("INVALID_REQUEST", bound, "POST", Base+"/deployments", map[string]any{
			"offerId": "off_abc123", "name": "n", "ssh_public_key": publicKey(t), "project": "red",
		})
		for _, query := range []string{"", "?project=red", "?project=blue", "?search=e"} {
			r := w.want(http.StatusOK, bound, "GET", Base+"/deployments"+query, nil)
			for _, one := range r.list {
				if dig(one, "project") != "blue" {
					t.Errorf("GET /deployments%s shows a deployment of another project: %s", query, r.body)
				}
			}
		}
		// Whatever names a deployment or volume in its path, and whatever is about the whole
		// account.
		absent := w.refused("NOT_FOUND", bound, "GET", Base+"/deployments/dep_absent", nil)
		for _, rt := range w.s.Routes() {
			at := strings.NewReplacer("{id}", string(theirs), "{offerId}", "off_abc123").Replace(rt.Path)
			if !strings.HasPrefix(rt.Path, Base+"/") || strings.Contains(at, "{") {
				continue
			}
			ofOne := strings.HasPrefix(rt.Path, Base+"/deployments/{id}")
			r := w.do(bound, rt.Method, at, nil, func(r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Minute) // for a call that goes on and on
				t.Cleanup(cancel)
				*r = *r.WithContext(ctx)
			})
			switch tag := rt.Tag; {
			case ofOne && r.code != "NOT_FOUND":
				t.Errorf("%s %s of another project: %d %s", rt.Method, rt.Path, r.status, r.body)
			case ofOne && rt.Method == "GET" && r.error["message"] != absent.error["message"]:
				t.Errorf("%s tells another project's deployment from an absent one: %s", rt.ID, r.body)
			case tag == tagWallet || tag == tagEvents || tag == tagWebhooks:
				if r.code != "INSUFFICIENT_SCOPE" && r.code != "SIGN_IN_REQUIRED" {
					t.Errorf("%s %s with a key of a project: %d %s", rt.Method, rt.Path, r.status, r.body)
				}
			}
		}
		w.refused("INVALID_REQUEST", bound, "PATCH", Base+"/deployments/"+string(mine), `{"project":"red"}`)
		r := w.want(http.StatusOK, bound, "PATCH", Base+"/deployments/"+string(mine), `{"project":null,"name":"m"}`)
		same(t, "project after the key took it away", r.text("project"), "blue")
		r = w.want(http.StatusOK, w.ada, "PATCH", Base+"/deployments/"+string(mine), `{"project":null}`)
		if dig(r.data, "project") != nil {
			t.Errorf("project after it was removed: %s", r.body)
		}
		w.refused("NOT_FOUND", bound, "GET", Base+"/deployments/"+string(mine), nil)
	})
}

func TestKeyOfAProjectHasNoScopeOfTheWholeAccount(t *testing.T) {
	w := newWorld(t)
	cookie := w.signIn(w.ada)
	r := w.by(http.StatusBadRequest, cookie, "POST", AccountBase+"/api-keys", map[string]any{
		"name": "ci", "project": "blue", "scopes": []string{"deployments:read", "wallet:read"},
	})
	if !strings.Contains(string(r.body), "wallet:read") {
		t.Errorf("%s", r.body)
	}
	r = w.by(
		http.StatusCreated,
		cookie,
		"POST",
		AccountBase+"/api-keys",
		map[string]any{"name": "ci", "project": "blue"},
	)
	same(t, "project", r.text("project"), "blue")
	key := r.text("id")
	w.by(http.StatusBadRequest, cookie, "PATCH", AccountBase+"/api-keys/"+key, map[string]any{
		"scopes": []string{"wallet:read"},
	})
	r = w.by(http.StatusOK, cookie, "GET", AccountBase+"/api-keys/"+key, nil)
	if strings.Contains(string(r.body), "wallet:read") {
		t.Errorf("a refused change was made: %s", r.body)
	}
}

func TestUsageByCreatorProjectAndTag(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		grace := w.user(w.ada, account.Member, "grace@example.com")
		cookie := w.cookie("grace@example.com")
		made := w.by(http.StatusCreated, cookie, "POST", Base+"/deployments", map[string]any{
			"offerId": "off_abc123", "name": "n", "ssh_public_key": publicKey(t), "project": "blue",
			"tags": []string{"a", "b"},
		})
		w.settle(id.ID(made.text("id")))
		byKey := w.deployIn(w.ada, "by-key", "")
		w.settle(byKey)
		type group struct{ Key, Name string }
		for by, want := range map[string][]group{
			"member":  {{string(grace.ID), grace.Called()}, {"", "<nil>"}},
			"apiKey":  {{string(w.ada.key.ID), w.ada.key.Name}, {"", "<nil>"}},
			"project": {{"blue", "<nil>"}, {"", "<nil>"}},
			"tag":     {{"a", "<nil>"}, {"b", "<nil>"}, {"", "<nil>"}},
		} {
			r := w.want(http.StatusOK, w.ada, "GET", Base+"/wallet/usage?groupBy="+by, nil)
			got := map[group]bool{}
			groups, _ := dig(r.data, "groups").([]any)
			for _, g := range groups {
				got[group{fmt.Sprint(dig(g, "key")), fmt.Sprint(dig(g, "name"))}] = true
			}
			wanted := map[group]bool{}
			for _, g := range want {
				wanted[g] = true
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("usage by %s (-want +got):\n%s", by, diff)
			}
			total := w.want(http.StatusOK, w.ada, "GET", Base+"/wallet/usage", nil)
			if fmt.Sprint(dig(r.data, "total")) != fmt.Sprint(dig(total.data, "total")) {
				t.Errorf("usage by %s has the total %v, by day %v", by, dig(r.data, "total"), dig(total.data, "total"))
			}
		}
		// A change counts for what was charged before, too.
		w.want(http.StatusOK, w.ada, "PATCH", Base+"/deployments/"+string(byKey), `{"project":"green"}`)
		r := w.want(http.StatusOK, w.ada, "GET", Base+"/wallet/usage?groupBy=project", nil)
		if !strings.Contains(string(r.body), "green") {
			t.Errorf("usage after a deployment was put into a project: %s", r.body)
		}
	})
}
