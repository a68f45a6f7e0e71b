package httpapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/id"
)

func TestBodiesAreReadStrictly(t *testing.T) {
	w := newWorld(t)
	key := publicKey(t)
	deployments, keys := Base+"/deployments", Base+"/ssh-keys"
	deploy := func(more string) string {
		return `{"offerId":"off_abc123","name":"x","ssh_public_key":"` + key + `","dryRun":true` + more + `}`
	}
	for _, c := range []struct {
		name, target, body string
		fields             []string // the faulty fields, in any order
		says               string
	}{
		{"a good one", deployments, deploy(""), nil, ""},
		{"an alias", deployments, strings.Replace(deploy(""), "ssh_public_key", "sshPublicKey", 1), nil, ""},
		{"both spellings", deployments, deploy(`,"sshPublicKey":"` + key + `"`), []string{"sshPublicKey"},
			"another name"},
		{"a typing error", deployments, deploy(`,"gpuCuont":8`), []string{"gpuCuont"}, "did you mean gpuCount?"},
		{"wrong case", deployments, deploy(`,"GPUCount":8`), []string{"GPUCount"}, "did you mean gpuCount?"},
		{"snake case", deployments, deploy(`,"gpu_count":8`), []string{"gpu_count"}, "did you mean gpuCount?"},
		{"a name twice", deployments, deploy(`,"name":"y"`), []string{"name"}, "more than once"},
		{"a name twice, escaped", deployments, deploy(`,"n\u0061me":"y"`), []string{"name"}, "more than once"},
		{"a string for a number", deployments, deploy(`,"gpuCount":"8"`), []string{"gpuCount"}, "must be a number, " +
			"not a string"},
		{"a fraction", deployments, deploy(`,"gpuCount":8.0`), []string{"gpuCount"}, "whole number"},
		{"an exponent", deployments, deploy(`,"gpuCount":8e0`), []string{"gpuCount"}, "whole number"},
		{"beyond an integer", deployments, deploy(`,"gpuCount":9999999999999999999999`), []string{"gpuCount"},
			"too large"},
		{"below the range", deployments, deploy(`,"gpuCount":-1`), []string{"gpuCount"}, "between 0 and"},
		{"null", deployments, deploy(`,"gpuCount":null`), []string{"gpuCount"}, "must not be null"},
		{"null for a boolean", Base + "/webhooks", `{"url":"https://example.com/","enabled":null}`, []string{"enabled"},
			"must not be null. Use true or false."},
		{"a list for a string", deployments, deploy(`,"region":["a"]`), []string{"region"}, "not a list"},
		{"a string for a list", deployments, deploy(`,"tags":"a"`), []string{"tags"}, "must be a list"},
		{"a number in a list", deployments, deploy(`,"tags":["a",1]`), []string{"tags[1]"}, "must be a string"},
		{"too many", deployments, deploy(`,"tags":["` + strings.Repeat(`a","`, 20) + `b"]`), []string{"tags"},
			"at most 20 entries"},
		{"a word outside the list", deployments, deploy(`,"instanceType":"BARE_METALL"`), []string{"instanceType"},
			"Did you mean BARE_METAL?"},
		{"money as a string", deployments, deploy(`,"maxHourlyPrice":"23.92"`), []string{"maxHourlyPrice"}, "must be " +
			"a number"},
		{"money too fine", deployments, deploy(`,"maxHourlyPrice":23.9200001`), []string{"maxHourlyPrice"},
			"six decimals"},
		{"money with an exponent", deployments, deploy(`,"maxHourlyPrice":1e2`), []string{"maxHourlyPrice"},
			"six decimals"},
		{"not a time", deployments, deploy(`,"autoTerminateAt":"tomorrow"`), []string{"autoTerminateAt"}, "RFC 3339"},
		{"a time without zone", deployments, deploy(`,"autoTerminateAt":"2030-01-01T00:00:00"`),
			[]string{"autoTerminateAt"}, "RFC 3339"},
		{"a time with a comma", deployments, deploy(`,"autoTerminateAt":"2030-01-01T00:00:00,5Z"`),
			[]string{"autoTerminateAt"}, "RFC 3339"},
		{"a zone of a day", deployments, deploy(`,"autoTerminateAt":"2030-01-01T00:00:00+24:00"`),
			[]string{"autoTerminateAt"}, "RFC 3339"},
		{"a time in small letters", deployments, deploy(`,"autoTerminateAt":"2030-01-01t00:00:00.25z"`), nil, ""},
		{"a size by another name", Base + "/volumes",
			`{"name":"v","sizeInGb":100,"provider":"voltage-park","region":"dallas-usa-5"}`, nil, ""},
		{"two sizes", Base + "/volumes",
			`{"name":"v","sizeGb":100,"sizeInGb":100,"provider":"voltage-park","region":"dallas-usa-5"}`,
			[]string{"sizeInGb"}, "another name of sizeGb"},
		{"a size by another name, of a wrong type", Base + "/volumes",
			`{"name":"v","sizeInGb":"100","provider":"voltage-park","region":"dallas-usa-5"}`,
			[]string{"sizeInGb"}, "must be a number"},
		{"another word for VM", Base + "/offers/check", `{"instanceType":"DEDICATED"}`, nil, ""},
		{"another word for VM, of an offer that is none", deployments, deploy(`,"instanceType":"DEDICATED"`),
			[]string{"instanceType"}, ""},
		{"a team", deployments, deploy(`,"teamId":"team_1"`), []string{"teamId"}, "an API key belongs to one account"},
		{"a NUL", keys, `{"name":"a\u0000b","publicKey":"` + key + `"}`, []string{"name"}, "control character, " +
			"U+0000 at position 2"},
		{"an escape character", keys, `{"name":"a\u001b[31m","publicKey":"` + key + `"}`, []string{"name"}, "U+001B"},
		{"empty", keys, `{"name":"","publicKey":"` + key + `"}`, []string{"name"}, "must not be empty"},
		{"too long", keys, `{"name":"` + strings.Repeat("ä", 65) + `","publicKey":"` + key + `"}`, []string{"name"},
			"at most 64 characters, not 65"},
		{"missing", keys, `{}`, []string{"name", "publicKey"}, "is required"},
		{"an array", keys, `[]`, []string{"body"}, "must be an object, not a list"},
		{"null as the body", keys, `null`, []string{"body"}, "null"},
		{"trailing junk", keys, `{"name":"a","publicKey":"` + key + `"} x`, []string{"body"}, "not valid JSON"},
		{"two documents", keys, `{} {}`, []string{"body"}, "not valid JSON"},
		{"broken UTF-8", keys, "{\"name\":\"\xff\"}", []string{"body"}, "UTF-8"},
		{"a comma too many", keys, "{\n\"name\":\"a\",}", []string{"body"}, "line 2"},
		{"deep", keys, strings.Repeat("[", 5000) + strings.Repeat("]", 5000), []string{"body"}, "levels deep"},
		{"a field where there is no body", deployments + "/dep_x/reboot", `{"force":true}`, []string{"force"},
			"takes none"},
		{"an unprintable field", keys, `{"name":"a","publicKey":"` + key + `","\u0007\n":1}`, []string{"??"},
			"is not a field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.configure(func(c *Config) { c.Limiter = allowAll{} })
			r := w.do(w.ada, "POST", c.target, c.body)
			got := r.fields()
			slices.Sort(got)
			if len(c.fields) == 0 {
				if r.status >= 300 {
					t.Errorf("%d: %s", r.status, r.body)
				}
				return
			}
			if r.status != 400 || fmt.Sprint(got) != fmt.Sprint(c.fields) || !strings.Contains(string(r.body), c.says) {
				t.Errorf("%d: fields %v, want %v saying %q: %s", r.status, got, c.fields, c.says, r.body)
			}
		})
	}
}

func TestQueriesAreReadStrictly(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	offers, deployments, transactions := Base+"/offers", Base+"/deployments", Base+"/wallet/transactions"
	for _, c := range []struct {
		target string
		fields []string
		says   string
	}{
		{offers + "?search=b200&available=true&gpuCount=8&minGpuCount=1&maxHourlyPrice=24.5&page=1&limit=100&sort=-price", nil, ""},
		{offers + "?search=&region=", nil, ""},
		{offers + "?per_page=5&sortBy=gpuCount&sortOrder=desc", nil, ""},
		{offers + "?gpucount=8", []string{"query.gpucount"}, "did you mean gpuCount?"},
		{offers + "?limit=0", []string{"query.limit"}, "between 1 and 100"},
		{offers + "?limit=101", []string{"query.limit"}, "between 1 and 100"},
		{offers + "?page=0", []string{"query.page"}, "between 1 and"},
		{offers + "?page=1.5", []string{"query.page"}, "whole number"},
		{offers + "?page=+1", []string{"query.page"}, "must be a number"},
		{offers + "?page=01", []string{"query.page"}, "must be a number"},
		{offers + "?page=", []string{"query.page"}, "must be a number"},
		{offers + "?page=99999999999999999999", []string{"query.page"}, "too large"},
		{offers + "?limit=5&limit=6", []string{"query.limit"}, "given 2 times"},
		{offers + "?limit=5&per_page=6", []string{"query.per_page"}, "contradicts limit"},
		{offers + "?available=yes", []string{"query.available"}, "true or false"},
		{offers + "?available=True&instanceType=bare_metal&provider=VOLTAGE-PARK&sortBy=price&sortOrder=DESC", nil, ""},
		{offers + "?instanceType=DEDICATED", nil, ""},
		{offers + "?instanceType=dedicated&gpuCount=1", nil, ""},
		{offers + "?available=1", []string{"query.available"}, "true or false"},
		{offers + "?maxHourlyPrice=-1", []string{"query.maxHourlyPrice"}, "at least 0"},
		{offers + "?maxHourlyPrice=1.0000001", []string{"query.maxHourlyPrice"}, "six decimals"},
		{offers + "?instanceType=bare", []string{"query.instanceType"}, "must be one of BARE_METAL"},
		{offers + "?sort=prize", []string{"query.sort"}, "Did you mean price?"},
		{offers + "?sort=-gpuCount,price,-name&page=1", nil, ""},
		{offers + "?sort=&status=", []string{"query.status"}, "not a query parameter"},
		{offers + "?sort=price,prize", []string{"query.sort[1]"}, "Did you mean price?"},
		{offers + "?sort=price,-hourlyPrice", []string{"query.sort"}, "more than once"},
		{offers + "?sortBy=-price", []string{"query.sortBy"}, "must be one of price, pricePerGpu"},
		{deployments + "?sort=name,-createdAt", nil, ""},
		{deployments + "?sort=name,createdAt,name", []string{"query.sort"}, "more than once"},
		{deployments + "?sort=status,-region", []string{"query.sort[0]", "query.sort[1]"}, "must be one of createdAt"},
		{offers + "?sort=price&sortBy=price", []string{"query.sortBy"}, "contradicts"},
		{offers + "?sortOrder=asc", []string{"query.sortOrder"}, "needs sortBy"},
		{offers + "?sortBy=price&sortOrder=up", []string{"query.sortOrder"}, "asc, desc"},
		{offers + "?search=%ff", []string{"query.search"}, "UTF-8"},
		{offers + "?search=%00", []string{"query.search"}, "control character"},
		{offers + "?a;b", []string{"query"}, "query string"},
		{offers + "?x=1&y=2&limit=0", []string{"query.limit", "query.x", "query.y"}, "3 faults"},
		{deployments + "?status=Running,stopped&tag=a&sort=-name", nil, ""},
		{deployments + "?status=runing", []string{"query.status"}, "Did you mean running?"},
		{deployments + "/dep_x?timeoutSeconds=5", []string{"query.timeoutSeconds"}, "needs waitFor"},
		{deployments + "/dep_x?waitFor=running&timeoutSeconds=61", []string{"query.timeoutSeconds"}, "between 1 " +
			"and 60"},
		{deployments + "/dep_x?expand=all", []string{"query.expand"}, "waitFor"},
		{transactions + "?type=charge,refund&from=2028-01-01T00:00:00Z&to=2028-02-01T00:00:00%2B01:00", nil, ""},
		{deployments + "?status=running&status=stopped", nil, ""},
		{deployments + "?status=running&status=stopped,failed&status=pending", nil, ""},
		{deployments + "?status=running&status=runing", []string{"query.status[1]"}, "Did you mean running?"},
		{transactions + "?type=charge&type=refund", nil, ""},
		{Base + "/events?type=deployment.running&type=deployment.failed,deployment.created", nil, ""},
		{Base + "/events?type=deployment.runing", []string{"query.type"}, "Did you mean deployment.running?"},
		{Base + "/events?type=deployment.running,volume.grwon", []string{"query.type[1]"}, "Did you mean " +
			"volume.grown?"},
		{deployments + "?tag=a&tag=b", []string{"query.tag"}, "given 2 times"},
		{transactions + "?from=2028-01-01t00:00:00z", nil, ""},
		{transactions + "?from=2028-01-01T00:00:00.5Z&to=2028-01-02T00:00:00%2B23:59", nil, ""},
		{transactions + "?from=2016-12-31T23:59:60Z", nil, ""},
		{transactions + "?from=2016-12-31T22:59:60Z", []string{"query.from"}, "RFC 3339"},
		{transactions + "?from=2028-01-01T00:00:00,5Z", []string{"query.from"}, "RFC 3339"},
		{transactions + "?from=2028-01-01T00:00:00%2B24:00", []string{"query.from"}, "RFC 3339"},
		{transactions + "?from=2028-01-01T0:00:00Z", []string{"query.from"}, "RFC 3339"},
		{transactions + "?from=2028-02-30T00:00:00Z", []string{"query.from"}, "RFC 3339"},
		{Base + "/wallet/usage?to=2028-01-01T00:00:00,5Z", []string{"query.to"}, "RFC 3339"},
		{transactions + "?from=2028-01-01", []string{"query.from"}, "RFC 3339"},
		{transactions + "?from=2028-01-01T00:00:00+01:00", []string{"query.from"}, "%2B"},
		{transactions + "?from=2028-01-02T00:00:00Z&to=2028-01-01T00:00:00Z", []string{"query.to"}, "later than from"},
		{transactions + "?format=csv&page=2", []string{"query.format"}, "no pages"},
		{transactions + "?deploymentId=a&volumeId=b", []string{"query.volumeId"}, "cannot be combined"},
		{Base + "/wallet/usage?groupBy=month", []string{"query.groupBy"}, "must be one of day"},
		{Base + "/wallet/usage?groupBy=GPUTYPE", nil, ""},
		// In UTC the year 10000, which JSON cannot say.
		{Base + "/wallet/usage?to=9999-12-31T23:59:59-23:59", []string{"query.to"}, "between the years"},
		{Base + "/offers/off_abc123/price-history?to=9999-12-31T23:59:59-00:01", []string{"query.to"}, "between " +
			"the years"},
		{Base + "/wallet/usage?from=2999-01-01T00:00:00Z", []string{"query.from"}, "earlier than now"},
		{Base + "/offers/off_abc123/price-history?from=2999-01-01T00:00:00Z", []string{"query.from"}, "earlier " +
			"than now"},
		{Base + "/ssh-keys?sort=name&per_page=3", nil, ""},
		{Base + "/volumes?sortBy=createdAt&sortOrder=asc", nil, ""},
		{Base + "/volumes?sort=sizeGb", []string{"query.sort"}, "must be one of createdAt"},
	} {
		r := w.do(w.ada, "GET", c.target, nil)
		got := r.fields()
		slices.Sort(got)
		if c.fields == nil {
			if r.status != 200 {
				t.Errorf("%s: %d: %s", c.target, r.status, r.body)
			}
		} else if r.status != 400 || fmt.Sprint(got) != fmt.Sprint(c.fields) ||
			!strings.Contains(string(r.body), strings.ReplaceAll(c.says, `"`, `\"`)) {
			t.Errorf("%s: %d: fields %v, want %v saying %q: %s", c.target, r.status, got, c.fields, c.says, r.body)
		}
	}
}

// Errors of the form and errors that only a service can find are reported together.
func TestEveryFaultOfADeployAtOnce(t *testing.T) {
	w := newWorld(t)
	body := w.seedBody()
	body["region"] = "paris-1"            // the offer is elsewhere
	body["ssh_public_key"] = "ssh-dss AA" // a kind that is not taken
	body["gpuCuont"] = 8                  // misspelt
	body["autoTerminateAt"] = 7           // not a time
	body["tags"] = []string{"a", "a"}     // repeated
	body["gpuCount"] = 4                  // the offer has 8
	r := w.refused("INVALID_REQUEST", w.ada, "POST", Base+"/deployments", body)
	got := r.fields()
	slices.Sort(got)
	same(t, "fields", got, []string{"autoTerminateAt", "gpuCount", "gpuCuont", "region", "ssh_public_key", "tags[1]"})
	if !strings.Contains(string(r.body), "paris-1") || !strings.Contains(string(r.body), "dallas-usa-5") {
		t.Errorf("a disagreement with the offer names both values: %s", r.body)
	}
	if list := w.want(200, w.ada, "GET", Base+"/deployments", nil).list; len(list) != 0 {
		t.Errorf("a refused deploy left %v", list)
	}
	// A field that is named already is not named again for what follows from it.
	r = w.refused("INVALID_REQUEST", w.ada, "POST", Base+"/deployments", `{"offerId":7,"name":7,"ssh_public_key":7}`)
	got = r.fields()
	slices.Sort(got)
	same(t, "fields", got, []string{"name", "offerId", "ssh_public_key"})
	// A key that was sent, if badly, is not said to be missing.
	for field, bad := range map[string]any{"sshKeyId": 5, "sshKeyIds": "ssh_x", "sshPublicKey": 5} {
		body := w.seedBody()
		delete(body, "ssh_public_key")
		body[field] = bad
		same(
			t,
			"fields",
			w.refused("INVALID_REQUEST", w.ada, "POST", Base+"/deployments", body).fields(),
			[]string{field},
		)
	}
}

func TestAPatchMustNameSomething(t *testing.T) {
	w := newWorld(t)
	d := w.deploy(w.ada)
	r := w.refused("INVALID_REQUEST", w.ada, "PATCH", Base+"/deployments/"+string(d), "{}")
	same(t, "fields", r.fields(), []string{"body"})
	// What it names is faulty; that is not to name nothing.
	r = w.refused("INVALID_REQUEST", w.ada, "PATCH", Base+"/deployments/"+string(d), `{"name":""}`)
	same(t, "fields", r.fields(), []string{"name"})
}

// Whatever has a name is refused a bad one, whichever call gives it.
func TestEveryNameIsChecked(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	mine := w.owned(w.ada)
	maps.Copy(mine, w.ownedByUser(w.ada))
	mine["provider-accounts"] = "none" // is the operator's, and its name is checked before it is looked for
	mine["issues"] = "none"            // likewise
	cookie := w.cookie("user." + string(w.ada.account) + "@example.com")
	operator := w.keyWith(w.ada, account.WriteOperator)
	mine["machines"] = id.ID(w.want(201, w.operator(), "POST", OperatorBase+"/machines", aServer("1")).text("id"))
	paths, schemas := documented(t)
	tried := 0
	for path, item := range paths {
		for method, o := range item {
			if o.RequestBody == nil {
				continue
			}
			schema := o.RequestBody.Content["application/json"].Schema
			if ref, is := schema["$ref"].(string); is {
				schema = schemas[ref[strings.LastIndexByte(ref, '/')+1:]]
			}
			if properties, _ := schema["properties"].(map[string]any); properties["name"] == nil ||
				path == Base+"/wallet/billing-details" { // TestNoTextOnAnInvoiceHasHiddenCharacters has it
				continue
			}
			before, rest, some := strings.Cut(path, "/{")
			target := path
			if some {
				_, after, _ := strings.Cut(rest, "}")
				target = before + "/" + string(mine[before[strings.LastIndexByte(before, '/')+1:]]) + after
			}
			who, options := w.ada, []option{}
			switch {
			case strings.HasPrefix(path, AccountBase):
				who, options = tenant{}, append(
					options,
					header("Cookie", cookie),
					header("Sec-Fetch-Site", "same-origin"),
				)
			case strings.HasPrefix(path, OperatorBase):
				who = operator
			}
			tried++
			for _, name := range []string{strings.Repeat("x", 65), "a\nb", "a\x00b", "\x1b[31m"} {
				r := w.do(who, strings.ToUpper(method), target, map[string]any{"name": name}, options...)
				if r.status != 400 || !slices.Contains(r.fields(), "name") {
					t.Errorf("%s %s with the name %q: %d %s", method, path, name, r.status, r.body)
				}
			}
		}
	}
	if tried < 8 {
		t.Errorf("only %d calls tried", tried)
	}
}

// Proxies give up after a minute without a byte, many after half of one.
func TestLongPollsEndBeforeProxyTimeouts(t *testing.T) {
	for seconds, want := range map[int]time.Duration{1: time.Second, 50: 50 * time.Second, 51: 50 * time.Second,
		60: 50 * time.Second} {
		same(t, fmt.Sprint("a wait of ", seconds), waitTime(&seconds), want)
	}
	if defaultWait > 25*time.Second || longestWait > 50*time.Second {
		t.Errorf("%s and %s", defaultWait, longestWait)
	}
}
