package architecture_test

import (
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var statement = regexp.MustCompile(`^\s*(SELECT\s|INSERT INTO\s|UPDATE\s+\w+\s+SET\s|DELETE FROM\s|` +
	`WITH\s+\w+\s+AS\s|CREATE (TABLE|INDEX)\s)`)

func TestSQLIsInStoresOnly(t *testing.T) {
	found := 0
	for _, f := range goFiles(t) {
		if f.test || !strings.HasPrefix(f.dir, "internal/") {
			continue
		}
		name := path.Base(f.path)
		isStore := name == "store.go" || strings.HasSuffix(name, "_store.go") ||
			strings.HasPrefix(f.dir+"/", "internal/db/")
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			lit, is := n.(*ast.BasicLit)
			if !is || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && statement.MatchString(text) {
				found++
				if !isStore {
					t.Errorf("%s contains SQL; move it to the package's store.go", f.path)
				}
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("only %d statements were recognized; the pattern does not fit", found)
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	documented, seen := map[string]bool{}, map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		seen[f.dir] = true
		if f.syntax.Doc == nil {
			continue
		}
		if path.Base(f.path) != "doc.go" && !strings.HasPrefix(f.dir, "cmd/") {
			t.Errorf("%s has the package comment; move it to doc.go", f.path)
		}
		documented[f.dir] = len(f.syntax.Doc.Text()) > 80 || strings.HasPrefix(f.dir, "cmd/")
	}
	vague := []string{"util", "utils", "common", "helper", "helpers", "models", "types", "misc", "shared", "lib"}
	for dir := range seen {
		if !documented[dir] {
			t.Errorf("%s has no doc.go with what it owns, what it does not own, and its invariants", dir)
		}
		for part := range strings.SplitSeq(dir, "/") {
			if slices.Contains(vague, part) {
				t.Errorf("%s: name the package after what it owns", dir)
			}
		}
	}
}

// TestOneWayToReinstall: deployment.Service.Reinstall requires the confirmation that local disks
// are erased, for every provider, because nothing else calls a provider's Reinstall.
func TestOneWayToReinstall(t *testing.T) {
	want := []string{
		"internal/cli/power.go",                     // the SDK
		"internal/deployment/running.go",            // a provider, once the service has accepted the request
		"internal/httpapi/deployments.go",           // the service
		"internal/provider/providertest/call.go",    // a test
		"internal/provider/providertest/machine.go", // a test
		"internal/provider/racks/racks.go",          // package rack, which sells as this provider only
	}
	callers := map[string]bool{}
	for _, f := range goFiles(t) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, is := n.(*ast.CallExpr)
			if !is || f.test {
				return true
			}
			if method, is := call.Fun.(*ast.SelectorExpr); is && method.Sel.Name == "Reinstall" {
				callers[f.path] = true
			}
			return true
		})
	}
	if got := slices.Sorted(maps.Keys(callers)); !slices.Equal(got, want) {
		t.Errorf("Reinstall is called in %v, not in %v", got, want)
	}
}

// TestOnlyTestsHashPasswordsCheaply: outside a test, passwords could be guessed from such hashes.
func TestOnlyTestsHashPasswordsCheaply(t *testing.T) {
	used := 0
	for _, f := range goFiles(t) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if name, is := n.(*ast.Ident); !is || name.Name != "CheapPasswords" {
				return true
			}
			used++
			if !f.test && f.path != "internal/account/account.go" {
				t.Errorf("%s makes password hashes cheap; only tests may", f.path)
			}
			return true
		})
	}
	if used < 3 {
		t.Errorf("CheapPasswords is used %d times; it has another name", used)
	}
}

// TestServerTestsRemoveTheirBinary: a package that starts servers builds one if the caller has
// not, and servertest.Run removes it.
func TestServerTestsRemoveTheirBinary(t *testing.T) {
	starts, runs := map[string]bool{}, map[string]bool{}
	for _, f := range goFiles(t) {
		if !f.test {
			continue
		}
		starts[f.dir] = starts[f.dir] || slices.Contains(imports(f), module+"test/servertest")
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, is := n.(*ast.SelectorExpr); is && s.Sel.Name == "Run" {
				x, is := s.X.(*ast.Ident)
				runs[f.dir] = runs[f.dir] || is && x.Name == "servertest"
			}
			return true
		})
	}
	count := 0
	for dir, does := range starts {
		if !does {
			continue
		}
		count++
		if !runs[dir] {
			t.Errorf("%s starts servers, and its TestMain does not call servertest.Run", dir)
		}
	}
	if count < 5 {
		t.Errorf("only %d packages start servers; the pattern does not fit", count)
	}
}
