package mcp_test

import (
	"testing"
	"time"
)

// TestInvalidInput checks that an error names all invalid inputs of a tool at once.
func TestInvalidInput(t *testing.T) {
	t.Parallel()
	a := start(t, nil, "pk_live_test", time.Now) // no request reaches the API
	for name, c := range map[string]struct {
		tool string
		in   map[string]any
		want map[string]string
	}{
		"misspelled, missing and unknown": {
			"quote", map[string]any{"offerID": "off_1", "hour": 2, "name": 5, "sshPublicKey": publicKey},
			map[string]string{
				"offerID": "is not an input of quote. Did you mean offerId?",
				"hour": "is not an input of quote. Did you " +
					"mean hours?",
				"name": "must be a string.", "offerId": "is required: a string.", "hours": "is required: a number.",
			}},
		"no inputs at all": {
			"whoami", map[string]any{"verbose": true},
			map[string]string{"verbose": "is not an input of whoami, which has none."},
		},
		"an unknown value": {
			"list_offers", map[string]any{"instanceType": "BARE-METAL"},
			map[string]string{"instanceType": "must be one of BARE_METAL, VM, SPOT, CLUSTER, DEDICATED. " +
				"Did you mean BARE_METAL?"},
		},
		"an entry of a list": {
			"list_deployments", map[string]any{"status": []any{"running", "runing"}},
			map[string]string{"status": "entry 2 must be one of pending, deploying, running, stopped, terminating," +
				" terminated, failed, interrupted. Did you mean running?"},
		},
		"a time": {
			"get_usage", map[string]any{"from": "yesterday"},
			map[string]string{"from": "must be an RFC 3339 time, such as 2030-01-31T09:00:00Z."},
		},
		"a time with a comma": {
			"get_usage", map[string]any{"from": "2026-11-29T00:00:00,5Z"},
			map[string]string{"from": "must be an RFC 3339 time, such as 2030-01-31T09:00:00Z."},
		},
		"a zone beyond a day": {
			"extend", map[string]any{"deploymentId": "dep_1", "autoTerminateAt": "2026-11-30T20:30:00+24:00"},
			map[string]string{"autoTerminateAt": "must be an RFC 3339 time, such as 2030-01-31T09:00:00Z."},
		},
		"a fraction": {
			"list_ssh_keys", map[string]any{"page": 1.5},
			map[string]string{"page": "must be a whole number."},
		},
		"more than an int holds": {
			"list_ssh_keys", map[string]any{"page": 1e30},
			map[string]string{"page": "must be a whole number."},
		},
		"too many decimals": {
			"list_offers", map[string]any{"maxHourlyPrice": 1.0000001},
			map[string]string{"maxHourlyPrice": "must be a number with at most six decimals, below one trillion."},
		},
		"null for a required input": {
			"get_offer", map[string]any{"offerId": nil},
			map[string]string{"offerId": "is required: a string."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := *a
			a.t = t
			r := a.refused("INVALID_REQUEST", c.tool, c.in)
			got := map[string]string{}
			for _, f := range r["fields"].([]any) {
				f := f.(map[string]any)
				got[f["field"].(string)] = f["message"].(string)
			}
			if len(got) != len(c.want) {
				t.Errorf("%v", got)
			}
			for field, message := range c.want {
				if got[field] != message {
					t.Errorf("%s: %q, want %q", field, got[field], message)
				}
			}
		})
	}
}
