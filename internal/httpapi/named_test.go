package httpapi

import (
	"net/url"
	"slices"
	"testing"
)

func TestLists_filterByName(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		session := w.signIn(w.ada)
		names := []string{"Alpha", "alpha-two", "beta"}
		for _, name := range names {
			body := w.seedBody()
			body["name"] = name
			w.want(201, w.ada, "POST", Base+"/deployments", body)
			w.want(201, w.ada, "POST", Base+"/volumes", map[string]any{
				"name": name, "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5",
			})
			w.want(201, w.ada, "POST", Base+"/ssh-keys", map[string]any{"name": name, "publicKey": publicKey(t)})
			w.by(201, session, "POST", AccountBase+"/api-keys", map[string]any{"name": name})
		}
		body := w.seedBody()
		body["name"], body["tags"] = "ALPHA", []string{"a"}
		w.want(201, w.ada, "POST", Base+"/deployments", body)

		for _, at := range []string{
			Base + "/deployments", Base + "/volumes", Base + "/ssh-keys", AccountBase + "/api-keys",
		} {
			for query, want := range map[string][]string{
				"name=alpha": {"Alpha"}, "name=ALPHA-two": {"alpha-two"}, "name=alph": nil, "name=al%25": nil,
				"name=beta&sort=name": {"beta"}, "name=beta&sort=-name": {"beta"}, "name=beta&sort=createdAt": {"beta"},
				"search=HA-T": {"alpha-two"}, "search=HA-T&name=alpha": nil, "search=%25": nil, "search=none": nil,
			} {
				if at == Base+"/deployments" && query == "name=alpha" {
					want = []string{"ALPHA", "Alpha"}
				}
				var got []string
				for _, one := range w.by(200, session, "GET", at+"?"+query, nil).list {
					got = append(got, dig(one, "name").(string))
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s?%s: got %v, want %v", at, query, got, want)
				}
			}
			if list := w.by(200, session, "GET", at+"?name=", nil).list; len(list) < len(names) {
				t.Errorf("%s: got %d entries with an empty name, want all", at, len(list))
			}
		}
		for query, want := range map[string]int{
			"name=alpha&tag=a": 1, "name=alpha&tag=a&sort=name": 1, "name=beta&tag=a": 0,
			"name=alpha&status=" + url.QueryEscape("pending,deploying,running"): 2, "name=alpha&status=failed": 0,
			"name=alpha&provider=voltage-park&region=dallas-usa-5": 2, "name=alpha&search=-two": 0,
		} {
			if list := w.want(200, w.ada, "GET", Base+"/deployments?"+query, nil).list; len(list) != want {
				t.Errorf("%s: got %d deployments, want %d", query, len(list), want)
			}
		}
	})
}
