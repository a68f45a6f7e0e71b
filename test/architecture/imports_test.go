package architecture_test

import (
	"slices"
	"strings"
	"testing"
)

// foundation are the packages that every other may import.
var foundation = []string{"money", "id", "apierr", "clock", "crashpoint", "netstring"}

// dependencies lists, for each package below internal/, which others it imports beside the
// foundation packages. What is not listed is forbidden. A package may import only packages that
// are further down in this table.
var dependencies = []struct {
	pkg     string
	imports []string
}{
	{"app", []string{"*"}}, // knows every implementation
	{"httpapi", []string{
		"rest",
		"focus", "payment/demo", "payment/transfer", "payment", "setup",
		"signup", "altcha", "incident", "announcement", "adjustment", "operator", "invoice", "promo", "credit",
		"pastdue", "spendlimit", "quota", "budget", "deployment", "volume", "issue", "quote", "catalog", "pricerule",
		"health", "gpucheck",
		"meter", "signedhead", "servicecredit",
		"wallet", "webhook", "osimage", "sshkey", "settings",
		"mail", "account", "audit", "oidc", "event", "idempotency",
		"ratelimit", "provideraccount", "provider", "creator", "console", "rack", "rackagent", "db",
	}},
	{"rest", []string{"idempotency", "ratelimit", "db"}},
	{"dashboard", nil},
	{"cli", []string{"mcp", "gpucheck", "client", "version"}}, // does what any program with the client can
	{"mcp", []string{"client"}},
	{"version", nil},
	{"setup", []string{"operator", "account", "db"}},
	{"signup", []string{"operator", "altcha", "settings", "credit", "mail", "account", "emailaddr", "db"}},
	{"adjustment", []string{"operator", "settings", "account", "creator", "job", "db"}},
	{"operator", []string{
		"deployment", "volume", "quota", "meter", "credit", "wallet", "account", "audit", "event", "job", "mail", "db",
	}},
	{"altcha/altchatest", []string{"altcha"}},
	{"altcha", []string{"secret", "db"}},
	{"invoice", []string{"account", "issue", "wallet", "emailaddr", "event", "job", "db"}},
	{"announcement", []string{"deployment", "provideraccount", "catalog", "mail", "account", "job", "db"}},
	{"promo", []string{"account", "credit", "wallet", "settings", "emailaddr", "db"}},
	{"servicecredit", []string{"deployment", "settings", "meter", "wallet", "event", "job", "db"}},
	{"mail", []string{"settings", "account", "event", "emailaddr", "secret", "job", "db"}},
	{"settings", []string{"health", "provider", "emailaddr", "secret", "db"}},
	{"incident", []string{"deployment", "provideraccount", "catalog", "event", "job", "db"}},
	{"pastdue", []string{"deployment", "volume", "meter", "wallet", "event", "job", "db"}},
	{"recovery", []string{"deployment", "issue", "installation", "provider", "job", "db"}},
	{"deployment", []string{
		"account", "quota", "spendlimit", "budget",
		"step", "cloudinit", "secret", "volume", "issue", "quote", "catalog", "health", "gpucheck",
		"meter", "wallet", "osimage", "sshkey", "provider", "event", "job", "creator", "db",
	}},
	{"payment/stripe/stripetest", nil},
	{"payment/stripe", []string{"payment", "db"}}, // db to refuse a call inside a transaction
	{"payment/demo", []string{"payment", "db"}},
	{"payment/transfer", []string{"payment", "wallet", "db"}},
	{"payment", []string{"account", "issue", "credit", "wallet", "event", "job", "creator", "db"}},
	{"credit", []string{"wallet", "event", "job", "db"}},
	{"step", nil},
	{"observe", []string{"catalog", "provider", "job"}},
	{"volume", []string{
		"account", "quota", "spendlimit", "budget", "issue", "catalog", "meter", "wallet", "provider", "event", "job",
		"creator", "db",
	}},
	{"enginetest", []string{"issue", "meter", "wallet", "provider", "event", "job", "db"}},
	{"spendlimit", []string{"db"}},
	{"budget", []string{"account", "meter", "wallet", "event", "job", "creator", "db"}},
	{"quota", []string{"db"}},
	{"signedhead", []string{"issue", "wallet", "secret", "job", "db"}},
	{"backup", nil},
	{"console", []string{"audit", "job", "db"}},
	{"rack/racktest", []string{"bmc/bmctest", "bmc", "rackagent"}},
	{"provider/racks", []string{"rack", "rackagent", "provider", "db"}},
	{"rack", []string{
		"issue", "bmc", "sshhost", "rackagent", "gpucheck", "provider", "cloudinit", "secret", "job", "db",
	}},
	{"issue", []string{"provider", "job", "db"}},
	{"provideraccount", []string{"secret", "provider/upstream", "provider", "db"}},
	{"meter", []string{"wallet", "event", "job", "db"}},
	{"focus", []string{"wallet", "creator"}},
	{"quote", []string{"catalog", "db"}},
	{"catalog", []string{"pricerule", "health", "provider", "job", "db"}},
	{"pricerule", []string{"db"}},
	{"health", []string{"gpucheck", "provider", "db"}},
	{"idempotency", []string{"job", "db"}},
	{"retention", []string{"job", "db"}},
	{"wallet", []string{"creator", "db"}},
	{"webhook", []string{"webhook/outbound", "secret", "event", "job", "creator", "db"}},
	{"webhook/outbound", []string{"ipaddr"}},
	{"account", []string{"secret", "emailaddr", "creator", "db"}},
	{"certificate", []string{"secret", "db"}},
	{"secret", []string{"db"}},
	{"oidc/oidctest", nil},
	{"oidc", nil},
	{"audit", []string{"db"}},
	{"installation", []string{"db"}},
	{"sshkey", []string{"creator", "db"}},
	{"osimage", []string{"provider", "creator", "db"}},
	{"event", []string{"db"}},
	{"job/jobtest", []string{"job", "db"}},
	{"job", []string{"db"}},
	{"provider/sim", []string{"provider", "provider/sim/node", "cloudinit"}},
	{"provider/sim/node", []string{"sftpserver", "cloudinit", "provider/sim/nvidiasmi"}},
	{"provider/sim/nvidiasmi", nil},
	{"provider/billet", []string{"provider", "provider/upstream"}},
	{"provider/ironic", []string{"provider/upstream", "provider", "cloudinit"}},
	{"provider/ironic/ironictest", nil},
	{"provider/latitude", []string{"provider", "provider/upstream", "cloudinit"}},
	{"provider/latitude/latitudetest", []string{"provider/upstream/upstreamtest", "provider/upstream"}},
	{"provider/shadeform/shadeformtest", []string{"provider/upstream/upstreamtest", "provider/upstream"}},
	{"provider/shadeform", []string{"provider/upstream", "provider"}},
	{"provider/lambda/lambdatest", []string{"provider/upstream/upstreamtest", "provider/upstream"}},
	{"provider/lambda", []string{"provider/upstream", "provider", "cloudinit"}},
	{"provider/spheron", []string{"provider/upstream", "provider", "cloudinit"}},
	{"provider/spheron/spherontest", []string{"provider/upstream/upstreamtest", "provider/upstream", "provider"}},
	{"provider/voltagepark/voltageparktest", []string{
		"provider/upstream/upstreamtest", "provider/upstream", "provider",
	}},
	{"provider/voltagepark", []string{"provider/upstream", "provider", "cloudinit"}},
	{"provider/upstream/upstreamtest", []string{"provider/providertest", "provider/upstream", "provider"}},
	{"provider/upstream", []string{"provider"}},
	{"provider/providertest", []string{"provider", "db", "db/dbtest"}},
	{"sftpserver", nil},                      // of simulated machines and of cmd/billet-agent
	{"cloudinit", nil},                       // for clouds that take no text
	{"gpucheck", nil},                        // a script, and how its output is judged
	{"provider", []string{"ipaddr", "db"}},   // db to refuse a call inside a transaction
	{"sshhost", []string{"rackagent", "db"}}, // db to refuse a call inside a transaction
	{"rackagent", []string{"ipaddr"}},        // part of a program that runs alone on a machine
	{"bmc/bmctest", []string{"bmc"}},
	{"bmc", []string{"db"}}, // db to refuse a call inside a transaction
	{"creator", nil},
	{"ipaddr", nil},
	{"emailaddr", nil},
	{"ratelimit/redislimit", []string{"ratelimit", "secreturl"}},
	{"ratelimit/ratelimittest", []string{"ratelimit"}},
	{"ratelimit", nil},
	{"db/dbtest", []string{"db/migrate", "db/postgres", "db/sqlite", "db"}},
	{"db/migrate", []string{"db"}},
	{"db/postgres", []string{"db", "secreturl"}},
	{"db/sqlite", []string{"db"}},
	{"db", nil},
	{"secreturl", nil},
	{"money", nil}, {"id", nil}, {"apierr", nil}, {"clock", nil}, {"crashpoint", nil}, {"netstring", nil},
	{"client", nil}, // public, beside internal/
}

// external lists where a package of another module may be imported.
var external = map[string]struct {
	in     []string
	reason string
}{
	"github.com/redis/go-redis/v9":  {[]string{"ratelimit/redislimit"}, "Redis has counters only"},
	"modernc.org/sqlite":            {[]string{"db/sqlite", "db/dbtest"}, "only the engine's own package knows it"},
	"github.com/jackc/pgx/v5":       {[]string{"db/postgres", "db/dbtest"}, "only the engine's own package knows it"},
	"github.com/danielgtaylor/huma": {[]string{"httpapi", "rest"}, "the core knows no HTTP"},
	"github.com/coder/websocket":    {[]string{"httpapi", "cli"}, "the core knows no HTTP"},
	"github.com/prometheus": {
		[]string{"httpapi", "rest", "app", "observe"},
		"packages return what happened; the edge counts it",
	},
	"go.opentelemetry.io":       {[]string{"observe"}, "packages tell hooks what they do; one package traces it"},
	"github.com/coreos/go-oidc": {[]string{"oidc"}, "one package calls identity providers"},
	"golang.org/x/oauth2":       {[]string{"oidc"}, "one package calls identity providers"},
	"github.com/go-webauthn":    {[]string{"account"}, "one package authenticates users"},
	"github.com/pquerna/otp":    {[]string{"account"}, "one package authenticates users"},
	"net/http": {[]string{
		"httpapi", "rest", "app", "oidc", "oidc/oidctest", "dashboard", "cli", "provider/*", "webhook/outbound",
		"certificate", "payment/stripe", "payment/stripe/stripetest", "rackagent", "bmc", "bmc/bmctest",
		"rack/racktest", "observe",
	}, "the core knows no HTTP; adapters and webhooks do"},
	"github.com/stripe/stripe-go": {
		[]string{"payment/stripe", "payment/stripe/stripetest"}, "one package calls Stripe",
	},
	"github.com/wneessen/go-mail":      {[]string{"mail"}, "one package sends mail"},
	"golang.org/x/image/font":          {[]string{"invoice"}, "one package writes PDF"},
	"golang.org/x/image/webp":          {[]string{"settings"}, "one package reads images"},
	"codeberg.org/go-pdf/fpdf":         {[]string{"invoice"}, "one package writes PDF"},
	"golang.org/x/text":                {[]string{"invoice"}, "one package names countries"},
	"github.com/standard-webhooks":     {[]string{"webhook"}, "one package signs webhooks"},
	"golang.org/x/time/rate":           {[]string{"provider/upstream"}, "limits calls to clouds, not to us"},
	"github.com/caddyserver/certmagic": {[]string{"certificate"}, "one package gets certificates"},
	"github.com/mholt/acmez/v3":        {[]string{"certificate"}, "one package gets certificates"},
	"go.uber.org/zap":                  {[]string{"certificate"}, "certmagic's log, which is off"},
	"github.com/spf13/cobra":           {[]string{"cli"}, "only the commands parse flags"},
	"github.com/modelcontextprotocol":  {[]string{"mcp"}, "one package serves agents"},
	"github.com/google/jsonschema-go":  {[]string{"mcp"}, "one package serves agents"},
	"github.com/pressly/goose":         {[]string{"db/migrate"}, "one package migrates"},
}

func TestPackagesImportDownwards(t *testing.T) {
	index := map[string]int{}
	for i, d := range dependencies {
		index[d.pkg] = i
	}
	for i, d := range dependencies {
		for _, to := range d.imports {
			if at, known := index[to]; to != "*" && (!known || at <= i) {
				t.Errorf("the table lets %s import %s, which is not below it", d.pkg, to)
			}
		}
	}
	for _, f := range goFiles(t) {
		pkg, internal := strings.CutPrefix(f.dir, "internal/")
		if !internal || f.test {
			continue
		}
		i, known := index[pkg]
		if !known {
			t.Errorf("%s: the package %s is not in this test's table; enter it, with what it may import", f.path, pkg)
			continue
		}
		for _, p := range imports(f) {
			if to, ours := strings.CutPrefix(p, module); ours {
				checkImport(t, f, i, strings.TrimPrefix(to, "internal/"))
			}
		}
	}
}

func checkImport(t *testing.T, f file, index int, to string) {
	t.Helper()
	d := dependencies[index]
	if slices.Contains(foundation, to) {
		if slices.Contains(foundation, d.pkg) && (d.pkg != "id" || to != "clock") {
			t.Errorf("%s imports %s: of the foundation packages, only id imports another, clock", f.path, to)
		}
		return
	}
	if !slices.Contains(d.imports, to) && !slices.Contains(d.imports, "*") {
		t.Errorf("%s: %s may not import %s; call it from a package above both, or change the table", f.path, d.pkg, to)
	}
}

func TestExternalPackagesAreConfined(t *testing.T) {
	met := map[string]bool{}
	for _, f := range goFiles(t) {
		pkg, internal := strings.CutPrefix(f.dir, "internal/")
		if !internal || f.test {
			continue
		}
		for _, p := range imports(f) {
			for prefix, e := range external {
				if p != prefix && !strings.HasPrefix(p, prefix+"/") {
					continue
				}
				met[prefix] = true
				if !slices.ContainsFunc(e.in, func(in string) bool {
					parent, all := strings.CutSuffix(in, "*")
					return in == pkg || all && strings.HasPrefix(pkg, parent)
				}) {
					t.Errorf("%s imports %s, which only %v may: %s", f.path, p, e.in, e.reason)
				}
			}
		}
	}
	for prefix := range external {
		if !met[prefix] {
			t.Errorf("no package imports %s; delete its entry", prefix)
		}
	}
}

// TestClientHasNoDependencies: tenants build the client into their own programs, with whatever it
// imports.
func TestClientHasNoDependencies(t *testing.T) {
	found := 0
	for _, f := range goFiles(t) {
		if f.test || (f.dir != "client" && !strings.HasPrefix(f.dir, "client/")) {
			continue
		}
		found++
		for _, p := range imports(f) {
			if host, _, _ := strings.Cut(p, "/"); strings.Contains(host, ".") {
				t.Errorf("%s imports %s; the client uses the standard library only", f.path, p)
			}
		}
	}
	if found == 0 {
		t.Error("no file of the client was read")
	}
}
