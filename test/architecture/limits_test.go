package architecture_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	maxComment    = 100 // columns
	maxCode       = 120 // columns
	tab           = 4   // columns
	maxComplexity = 20  // cyclomatic, per function
	maxFile       = 650 // lines, of a file below internal/ that is no test
)

var (
	commentLine = regexp.MustCompile(`^\s*(//|/?\*)`)
	structTag   = regexp.MustCompile("^[^`\"]*`\\w+:\".*`")
	unbreakable = regexp.MustCompile("https?://\\S{40,}|[^\\s\"'`]{80,}|^\\s*//(go|nolint)\\S*:")
)

// TestLinesStayShort limits the lines of Go and TypeScript. Exempt are struct tags, whose texts
// Go cannot wrap, long addresses, and data without spaces, such as keys.
func TestLinesStayShort(t *testing.T) {
	for _, f := range allFiles(t) {
		if !f.isGo() && !f.isTypeScript() {
			continue
		}
		for i, line := range strings.Split(f.text, "\n") {
			limit, what := maxCode, "code"
			if commentLine.MatchString(line) {
				limit, what = maxComment, "a comment"
			}
			columns := utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tab-1)
			if columns > limit && !structTag.MatchString(line) && !unbreakable.MatchString(line) {
				t.Errorf("%s:%d: the line has %d columns; wrap %s at %d (a tab counts %d)",
					f.path, i+1, columns, what, limit, tab)
			}
		}
	}
}

// TestFilesStayShort limits files, not packages: a budget for a package rewards long lines.
func TestFilesStayShort(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || !strings.HasPrefix(f.dir, "internal/") {
			continue
		}
		if lines := strings.Count(f.text, "\n"); lines > maxFile {
			t.Errorf("%s has %d lines, at most %d are allowed; split it by topic", f.path, lines, maxFile)
		}
	}
}

func TestFunctionsStaySimple(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, d := range f.syntax.Decls {
			fn, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			if n := complexity(fn); n > maxComplexity {
				t.Errorf("%s:%d: %s has a cyclomatic complexity of %d, at most %d is allowed; split it by meaning",
					f.path, f.positions.Position(fn.Pos()).Line, fn.Name.Name, n, maxComplexity)
			}
		}
	}
}

// complexity counts as gocyclo does: one, and one for each if, for, case, && and ||. Function
// literals count for the function that contains them.
func complexity(fn *ast.FuncDecl) int {
	n := 1
	ast.Inspect(fn, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if node.List != nil {
				n++
			}
		case *ast.CommClause:
			if node.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if node.Op == token.LAND || node.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}
