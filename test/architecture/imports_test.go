package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/billetcloud/billet/"

// ground is what every room may import.
var ground = []string{"money", "id", "apierr", "clock", "crashpoint"}

// may is, for each room under internal/, which others it imports beside the ground. What is not listed is
// forbidden. Arrows run downwards: a room may import only rooms that stand further down in this table.
var may = []struct {
	room  string
	below []string
}{
	{"app", []string{"*"}}, // the one room that knows every implementation
	{"httpapi", []string{"operator", "pastdue", "spendlimit", "deployment", "volume", "issue", "quote", "catalog", "meter", "wallet", "webhook", "sshkey", "account", "audit", "oidc", "event", "idempotency", "ratelimit", "provider", "db"}},
	{"dashboard", nil},
	{"cli", []string{"mcp", "client", "version"}}, // it can do what every program with the public client can
	{"mcp", []string{"client"}},                   // and so can what programs are offered
	{"version", nil},
	{"operator", []string{"meter", "wallet", "account", "job", "db"}},
	{"pastdue", []string{"deployment", "volume", "wallet", "event", "job", "db"}},
	{"deployment", []string{"spendlimit", "step", "cloudinit", "secret", "volume", "issue", "quote", "catalog", "meter", "wallet", "sshkey", "provider", "event", "job", "db"}},
	{"step", nil},
	{"volume", []string{"spendlimit", "issue", "catalog", "meter", "wallet", "provider", "event", "job", "db"}},
	{"spendlimit", []string{"db"}},
	{"issue", []string{"provider", "job", "db"}},
	{"provideraccount", []string{"secret", "provider/upstream", "provider", "db"}},
	{"meter", []string{"wallet", "event", "job", "db"}},
	{"quote", []string{"catalog", "db"}},
	{"catalog", []string{"provider", "job", "db"}},
	{"idempotency", []string{"job", "db"}},
	{"wallet", []string{"db"}},
	{"webhook", []string{"webhook/outbound", "secret", "event", "job", "db"}},
	{"webhook/outbound", []string{"ipaddr"}},
	{"account", []string{"secret", "db"}},
	{"secret", nil},
	{"oidc/oidctest", nil},
	{"oidc", nil},
	{"audit", []string{"db"}},
	{"installation", []string{"db"}},
	{"sshkey", []string{"db"}},
	{"event", []string{"db"}},
	{"job/jobtest", []string{"job", "db"}},
	{"job", []string{"db"}},
	{"provider/sim", []string{"provider", "provider/sim/node", "cloudinit"}},
	{"provider/sim/node", []string{"provider/sim/sftpserver", "cloudinit", "provider/sim/nvidiasmi"}},
	{"provider/sim/nvidiasmi", nil},
	{"provider/sim/sftpserver", nil},
	{"provider/billet", []string{"provider", "provider/upstream"}},
	{"provider/latitude", []string{"provider", "provider/upstream", "cloudinit"}},
	{"provider/latitude/latitudetest", []string{"provider/upstream/upstreamtest", "provider/upstream"}},
	{"provider/shadeform/shadeformtest", []string{"provider/upstream/upstreamtest", "provider/upstream"}},
	{"provider/shadeform", []string{"provider/upstream", "provider"}},
	{"provider/lambda/lambdatest", []string{"provider/upstream/upstreamtest", "provider/upstream"}},
	{"provider/lambda", []string{"provider/upstream", "provider", "cloudinit"}},
	{"provider/spheron", []string{"provider/upstream", "provider", "cloudinit"}},
	{"provider/spheron/spherontest", []string{"provider/upstream/upstreamtest", "provider/upstream", "provider"}},
	{"provider/voltagepark/voltageparktest", []string{"provider/upstream/upstreamtest", "provider/upstream", "provider"}},
	{"provider/voltagepark", []string{"provider/upstream", "provider", "cloudinit"}},
	{"provider/upstream/upstreamtest", []string{"provider/providertest", "provider/upstream", "provider"}},
	{"provider/upstream", []string{"provider"}},
	{"provider/providertest", []string{"provider", "db", "db/dbtest"}},
	{"cloudinit", nil},                     // adapters take it apart for clouds that want no text
	{"provider", []string{"ipaddr", "db"}}, // db to refuse a call inside a transaction
	{"ipaddr", nil},
	{"ratelimit/redislimit", []string{"ratelimit", "secreturl"}},
	{"ratelimit/ratelimittest", []string{"ratelimit"}},
	{"ratelimit", nil},
	{"db/dbtest", []string{"db/migrate", "db/postgres", "db/sqlite", "db"}},
	{"db/migrate", []string{"db"}},
	{"db/postgres", []string{"db", "secreturl"}},
	{"db/sqlite", []string{"db"}},
	{"db", nil},
	{"secreturl", nil},
	{"money", nil}, {"id", nil}, {"apierr", nil}, {"clock", nil}, {"crashpoint", nil},
	{"client", nil}, // public, beside internal/
}

// only says where an outside package may be imported at all.
var only = map[string]struct {
	rooms  []string
	reason string
}{
	"github.com/redis/go-redis/v9":    {[]string{"ratelimit/redislimit"}, "Redis carries counters only; lose it and nothing is lost"},
	"modernc.org/sqlite":              {[]string{"db/sqlite", "db/dbtest"}, "an engine is known by its own room"},
	"github.com/jackc/pgx/v5":         {[]string{"db/postgres", "db/dbtest"}, "an engine is known by its own room"},
	"github.com/danielgtaylor/huma":   {[]string{"httpapi"}, "nouns know nothing of HTTP"},
	"github.com/gliderlabs/ssh":       {[]string{"provider/sim/node"}, "Billet speaks SSH only as a simulated machine"},
	"github.com/coder/websocket":      {[]string{"httpapi"}, "nouns know nothing of HTTP"},
	"github.com/prometheus":           {[]string{"httpapi", "app"}, "rooms tell what happened; the edge counts it"},
	"github.com/coreos/go-oidc":       {[]string{"oidc"}, "one room speaks with identity providers"},
	"golang.org/x/oauth2":             {[]string{"oidc"}, "one room speaks with identity providers"},
	"github.com/go-webauthn":          {[]string{"account"}, "who somebody is, is one room's business"},
	"github.com/pquerna/otp":          {[]string{"account"}, "who somebody is, is one room's business"},
	"net/http":                        {[]string{"httpapi", "app", "oidc", "oidc/oidctest", "dashboard", "cli", "provider/*", "webhook/outbound"}, "nouns know nothing of HTTP, adapters of clouds do, and what sends to tenants' addresses"},
	"github.com/standard-webhooks":    {[]string{"webhook"}, "one room signs what is sent to tenants"},
	"golang.org/x/time/rate":          {[]string{"provider/upstream"}, "how often we ask a cloud is kept in one place; how often we are asked, in ratelimit"},
	"github.com/spf13/cobra":          {[]string{"cli"}, "flags are the commands' business"},
	"github.com/modelcontextprotocol": {[]string{"mcp"}, "one room speaks with agents"},
	"github.com/google/jsonschema-go": {[]string{"mcp"}, "one room speaks with agents"},
	"github.com/pressly/goose":        {[]string{"db/migrate"}, "one room migrates"},
}

type file struct {
	path, dir string
	test      bool
	syntax    *ast.File
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func files(t *testing.T) []file {
	t.Helper()
	var out []file
	top := root(t)
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, p)
		if d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "data" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		out = append(out, file{rel, path.Dir(rel), strings.HasSuffix(rel, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func imports(f file) []string {
	var out []string
	for _, i := range f.syntax.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

func TestArrowsRunDownwards(t *testing.T) {
	floor := map[string]int{}
	for i, r := range may {
		floor[r.room] = i
	}
	for i, r := range may {
		for _, b := range r.below {
			if at, known := floor[b]; b != "*" && (!known || at <= i) {
				t.Errorf("the table lets %s import %s, which does not stand below it", r.room, b)
			}
		}
	}
	for _, f := range files(t) {
		room, in := strings.CutPrefix(f.dir, "internal/")
		if !in || f.test {
			continue
		}
		i, known := floor[room]
		if !known {
			t.Errorf("%s: the room %s is not in the plan; enter it in this test, with what it may import", f.path, room)
			continue
		}
		for _, p := range imports(f) {
			other, ours := strings.CutPrefix(p, module)
			if !ours {
				continue
			}
			other = strings.TrimPrefix(other, "internal/")
			if slices.Contains(ground, room) && slices.Contains(ground, other) {
				if room != "id" || other != "clock" {
					t.Errorf("%s imports %s: the ground stands on nothing but id on clock", f.path, other)
				}
				continue
			}
			if !slices.Contains(ground, other) && !slices.Contains(may[i].below, other) && !slices.Contains(may[i].below, "*") {
				t.Errorf("%s: %s may not import %s; call it from a room above both, or change the plan", f.path, room, other)
			}
		}
	}
}

func TestOutsidePackagesStayInTheirRooms(t *testing.T) {
	for _, f := range files(t) {
		room, in := strings.CutPrefix(f.dir, "internal/")
		if !in || f.test {
			continue
		}
		for _, p := range imports(f) {
			for prefix, o := range only {
				if (p == prefix || strings.HasPrefix(p, prefix+"/")) && !slices.ContainsFunc(o.rooms, func(may string) bool {
					under, all := strings.CutSuffix(may, "*")
					return may == room || all && strings.HasPrefix(room, under)
				}) {
					t.Errorf("%s imports %s, which only %v may: %s", f.path, p, o.rooms, o.reason)
				}
			}
		}
	}
}

// Tenants build the client into their own programs: what it imports they have to take, too, and nothing of the server may be among it.
func TestTheClientStandsAlone(t *testing.T) {
	found := 0
	for _, f := range files(t) {
		if f.test || (f.dir != "client" && !strings.HasPrefix(f.dir, "client/")) {
			continue
		}
		found++
		for _, p := range imports(f) {
			if host, _, _ := strings.Cut(p, "/"); strings.Contains(host, ".") {
				t.Errorf("%s imports %s; the client has the standard library only", f.path, p)
			}
		}
	}
	if found == 0 {
		t.Error("there is no client")
	}
}

var statement = regexp.MustCompile(`^\s*(SELECT\s|INSERT INTO\s|UPDATE\s+\w+\s+SET\s|DELETE FROM\s|WITH\s+\w+\s+AS\s|CREATE (TABLE|INDEX)\s)`)

func TestSQLStandsInStoresOnly(t *testing.T) {
	found := 0
	for _, f := range files(t) {
		if f.test || !strings.HasPrefix(f.dir, "internal/") {
			continue
		}
		name := path.Base(f.path)
		allowed := name == "store.go" || strings.HasSuffix(name, "_store.go") || strings.HasPrefix(f.dir+"/", "internal/db/")
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			lit, is := n.(*ast.BasicLit)
			if !is || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && statement.MatchString(text) {
				found++
				if !allowed {
					t.Errorf("%s holds SQL; it belongs into the room's store.go", f.path)
				}
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("only %d statements were recognised: this test looks past the SQL", found)
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	documented, seen := map[string]bool{}, map[string]bool{}
	for _, f := range files(t) {
		if f.test {
			continue
		}
		seen[f.dir] = true
		if f.syntax.Doc == nil {
			continue
		}
		if path.Base(f.path) != "doc.go" && !strings.HasPrefix(f.dir, "cmd/") {
			t.Errorf("%s has the package comment; it belongs into doc.go", f.path)
		}
		documented[f.dir] = len(f.syntax.Doc.Text()) > 80 || strings.HasPrefix(f.dir, "cmd/")
	}
	for dir := range seen {
		if !documented[dir] {
			t.Errorf("%s has no doc.go that says what it owns, what it does not, and its invariants", dir)
		}
		for part := range strings.SplitSeq(dir, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "models", "types", "misc", "shared", "lib"}, part) {
				t.Errorf("%s: a package is named after what it owns", dir)
			}
		}
	}
}

// A file that needs scrolling for minutes is two things. The limit is per file and not per package: a budget for a whole package
// rewards long lines, and is spent on what happens to come last.
func TestFilesStaySmall(t *testing.T) {
	const limit = 650 // lines
	for _, f := range files(t) {
		if f.test || !strings.HasPrefix(f.dir, "internal/") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root(t), f.path))
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(b), "\n"); lines > limit {
			t.Errorf("%s has %d lines, %d at most; split it by what it is about", f.path, lines, limit)
		}
	}
}

// Whoever set it outside a test would keep passwords that can be guessed from their hashes.
func TestOnlyTestsHashPasswordsCheaply(t *testing.T) {
	used := 0
	for _, f := range files(t) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if name, is := n.(*ast.Ident); !is || name.Name != "CheapPasswords" {
				return true
			}
			used++
			if !f.test && f.path != "internal/account/account.go" {
				t.Errorf("%s makes password hashes cheap; that is for tests", f.path)
			}
			return true
		})
	}
	if used < 3 {
		t.Errorf("CheapPasswords was met %d times; it has another name", used)
	}
}

var promised = regexp.MustCompile("`([a-z0-9/]+)` ((?:Test|Fuzz)\\w+)")

// A promise whose test was renamed or taken away is proved by nothing.
func TestEveryPromiseHasItsTest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, f := range files(t) {
		for _, d := range f.syntax.Decls {
			if fn, is := d.(*ast.FuncDecl); is && f.test && fn.Recv == nil {
				has[f.dir+" "+fn.Name.Name] = true
			}
		}
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise") || strings.HasPrefix(line, "| ---") {
			continue
		}
		rows++
		proofs := promised.FindAllStringSubmatch(line, -1)
		if len(proofs) == 0 {
			t.Errorf("no test proves: %s", line)
		}
		for _, p := range proofs {
			if !has[p[1]+" "+p[2]] {
				t.Errorf("%s has no test %s, which should prove: %s", p[1], p[2], line)
			}
		}
	}
	if rows < 20 {
		t.Errorf("only %d promises were read", rows)
	}
}

// What an adapter guesses stands where an operator reads it, word for word.
func TestEveryInferredFactIsInTheDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "providers.md"))
	if err != nil {
		t.Fatal(err)
	}
	plain := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	docs, facts := plain(string(text)), 0
	for _, f := range files(t) {
		if path.Base(f.path) != "doc.go" || path.Dir(f.dir) != "internal/provider" || f.syntax.Doc == nil {
			continue
		}
		_, section, found := strings.Cut(f.syntax.Doc.Text(), "# Inferred\n")
		if !found {
			continue
		}
		section, _, _ = strings.Cut(section, "\n# ")
		for _, fact := range regexp.MustCompile(`(?m)^ +- ((?:.+\n?)(?: {4}.+\n?)*)`).FindAllStringSubmatch(section, -1) {
			facts++
			if !strings.Contains(docs, plain(fact[1])) {
				t.Errorf("%s guesses what docs/providers.md does not say: %s", f.path, plain(fact[1]))
			}
		}
	}
	if facts < 30 {
		t.Errorf("%d facts were found; the lists have another form", facts)
	}
}

// A package that starts servers builds one where nobody has built it before, as a plain `go test` of it does.
func TestWhoStartsServersRemovesTheirBinary(t *testing.T) {
	starts, runs := map[string]bool{}, map[string]bool{}
	for _, f := range files(t) {
		if !f.test {
			continue
		}
		dir := filepath.Dir(f.path)
		for _, i := range f.syntax.Imports {
			starts[dir] = starts[dir] || i.Path.Value == `"github.com/billetcloud/billet/test/servertest"`
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, is := n.(*ast.SelectorExpr); is && s.Sel.Name == "Run" {
				x, is := s.X.(*ast.Ident)
				runs[dir] = runs[dir] || is && x.Name == "servertest"
			}
			return true
		})
	}
	for dir, does := range starts {
		if does && !runs[dir] {
			t.Errorf("%s starts servers, and its TestMain does not call servertest.Run", dir)
		}
	}
	if len(starts) < 5 {
		t.Errorf("%d packages with tests were met", len(starts))
	}
}
