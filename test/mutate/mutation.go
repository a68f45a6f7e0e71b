package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A mutation is one change of a file's text.
type mutation struct {
	pkg, file  string // relative to the module
	line       int
	function   string
	operator   string
	start, end int // byte offsets of what is replaced
	before     string
	after      string
}

// key identifies the mutation in equivalent.txt. It has no line number, so that it outlives edits
// elsewhere in the file.
func (m mutation) key() string {
	return fmt.Sprintf("%s %s: %s → %s", m.file, m.function, oneLine(m.before), oneLine(m.after))
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return "(nothing)"
	}
	return s
}

var swaps = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.ADD: token.SUB, token.SUB: token.ADD,
	token.MUL: token.QUO, token.QUO: token.MUL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN,
}

// ignored are calls whose absence no test needs to notice: logs, and steps of the crash suite.
var ignored = []string{"log", "slog", "crashpoint", "metrics"}

// collector gathers the mutations of one file.
type collector struct {
	set       *token.FileSet
	text      string
	pkg, file string
	function  string
	out       []mutation
}

// mutationsOfPackage returns every mutation of the package's code, in the order of the text.
func mutationsOfPackage(root, pkg string) ([]mutation, error) {
	paths, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var out []mutation
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "doc.go" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found, err := mutationsOf(pkg, filepath.ToSlash(filepath.Join(pkg, filepath.Base(path))), string(text))
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// mutationsOf returns every mutation of a file's functions.
func mutationsOf(pkg, file, text string) ([]mutation, error) {
	c := collector{set: token.NewFileSet(), text: text, pkg: pkg, file: file}
	syntax, err := parser.ParseFile(c.set, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range syntax.Decls {
		if fn, is := d.(*ast.FuncDecl); is && fn.Body != nil {
			c.function = fn.Name.Name
			ast.Inspect(fn.Body, c.visit)
		}
	}
	slices.SortStableFunc(c.out, func(a, b mutation) int { return a.start - b.start })
	return c.out, nil
}

func (c *collector) add(operator string, from, to token.Pos, after string) {
	start, end := c.set.Position(from).Offset, c.set.Position(to).Offset
	c.out = append(c.out, mutation{
		pkg: c.pkg, file: c.file, function: c.function, line: c.set.Position(from).Line, operator: operator,
		start: start, end: end, before: c.text[start:end], after: after,
	})
}

func (c *collector) textOf(n ast.Node) string {
	return c.text[c.set.Position(n.Pos()).Offset:c.set.Position(n.End()).Offset]
}

func (c *collector) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		c.add("negate condition", n.Cond.Pos(), n.Cond.End(), "!("+c.textOf(n.Cond)+")")
	case *ast.ForStmt:
		// A negated loop condition often never ends; the comparison in it is swapped instead.
	case *ast.BinaryExpr:
		c.swap(n)
	case *ast.BasicLit:
		if n.Kind == token.INT {
			c.add("change constant", n.Pos(), n.End(), "("+n.Value+" + 1)")
		}
	case *ast.Ident:
		switch n.Name {
		case "true":
			c.add("change constant", n.Pos(), n.End(), "false")
		case "false":
			c.add("change constant", n.Pos(), n.End(), "true")
		}
	case *ast.BlockStmt:
		c.drop(n.List)
	case *ast.CaseClause:
		c.drop(n.Body)
	case *ast.ReturnStmt:
		for _, r := range n.Results {
			if id, is := r.(*ast.Ident); is && id.Name == "err" {
				c.add("change return", r.Pos(), r.End(), "nil")
			}
		}
	case *ast.CallExpr:
		return !isIgnored(n)
	}
	return true
}

func (c *collector) swap(n *ast.BinaryExpr) {
	to, known := swaps[n.Op]
	if !known {
		return
	}
	for _, side := range []ast.Expr{n.X, n.Y} {
		if lit, is := side.(*ast.BasicLit); is && lit.Kind == token.STRING && n.Op == token.ADD {
			return // a concatenation
		}
	}
	// The whole expression is shown, and replaced; only its operator differs.
	x, y := c.textOf(n.X), c.textOf(n.Y)
	c.add("swap operator", n.Pos(), n.End(), x+" "+to.String()+" "+y)
}

// drop removes each statement that has an effect and declares nothing.
func (c *collector) drop(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, is := s.X.(*ast.CallExpr); is && !isIgnored(call) && !isPanic(call) {
				c.add("drop statement", s.Pos(), s.End(), "")
			}
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE && !isBlank(s) {
				c.add("drop statement", s.Pos(), s.End(), "")
			}
		case *ast.IncDecStmt:
			c.add("drop statement", s.Pos(), s.End(), "")
		}
	}
}

// isBlank reports whether the statement only ignores a result, as _ = rows.Close() does.
func isBlank(s *ast.AssignStmt) bool {
	id, is := s.Lhs[0].(*ast.Ident)
	return is && len(s.Lhs) == 1 && id.Name == "_"
}

func isPanic(call *ast.CallExpr) bool {
	id, is := call.Fun.(*ast.Ident)
	return is && id.Name == "panic"
}

// isIgnored reports whether the call is to something in ignored: log.Info(…), s.cfg.Log.Warn(…).
func isIgnored(call *ast.CallExpr) bool {
	s, is := call.Fun.(*ast.SelectorExpr)
	if !is {
		return false
	}
	name := ""
	switch x := s.X.(type) {
	case *ast.Ident:
		name = x.Name
	case *ast.SelectorExpr:
		name = x.Sel.Name
	}
	return slices.Contains(ignored, strings.ToLower(name))
}

// apply returns the text with the mutation.
func (m mutation) apply(text string) string { return text[:m.start] + m.after + text[m.end:] }
