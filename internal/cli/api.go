package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// rawCall has the flags of `billet api`.
type rawCall struct {
	texts, typed, headers []string
	input, key            string
	include, paginate     bool
}

func (t *tool) api() *cobra.Command {
	var r rawCall
	cmd := &cobra.Command{
		Use: "api [METHOD] PATH", Short: "Call the API directly", Args: cobra.RangeArgs(1, 2),
		Long: `Calls the HTTP API with your login and prints the response body, indented on a
terminal.

PATH is relative to the API, such as /deployments, or starts with /api/, or is a full URL of the
same server: the key is never sent to another one. METHOD defaults to GET. Fields are the body or,
for GET, the query. A POST that honors an Idempotency-Key has one,
which its retries keep.

Error responses are printed as well; see 'billet help exit-codes' for the exit code.`,
		Example: `  billet api /offers -f gpuType="NVIDIA B200"
  billet api /deployments --paginate
  billet api PATCH /deployments/dep_… -f name=other -F terminationProtection=true
  billet api POST /deployments --input deploy.json
  billet api POST /ssh-keys -f name=laptop -F publicKey=@$HOME/.ssh/id_ed25519.pub
  billet api -i /wallet`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringArrayVarP(&r.texts, "field", "f", nil, "string field `name=value`")
	f.StringArrayVarP(
		&r.typed,
		"typed-field",
		"F",
		nil,
		"field `name=value`; true, false, null, numbers, JSON arrays and objects keep\n"+
			"their type, @file reads a file",
	)
	f.StringVar(&r.input, "input", "", "`file` with the JSON body; - for standard input")
	f.StringArrayVarP(&r.headers, "header", "H", nil, "additional header `'Name: value'`")
	f.BoolVarP(&r.include, "include", "i", false, "print the status and headers first")
	f.BoolVar(&r.paginate, "paginate", false, "fetch all pages of a list and print one array")
	f.StringVar(&r.key, "idempotency-key", "", "`key` of a POST instead of a random one")
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if t.format == "csv" || t.format == "id" {
			return usageError("the API responds in JSON: -o %s is not supported here.", t.format)
		}
		in, err := t.request(r, args)
		if err != nil {
			return err
		}
		if r.paginate {
			return t.pages(ctx, c, in)
		}
		var options []client.CallOption
		if r.key != "" {
			options = append(options, client.WithIdempotencyKey(r.key))
		}
		a, err := c.Raw(ctx, in, options...)
		if a != nil {
			if e := t.printResponse(a, r.include); e != nil {
				return e
			}
		}
		return err
	})
}

// request builds the request from flags and arguments.
func (t *tool) request(r rawCall, args []string) (client.RawRequest, error) {
	in := client.RawRequest{Header: http.Header{}}
	fields, err := parseFields(r.texts, r.typed)
	if err != nil {
		return in, err
	}
	if r.input != "" {
		if len(fields) > 0 {
			return in, usageError("use --input or fields for the body, not both.")
		}
		if in.Body, err = t.bodyFrom(r.input); err != nil {
			return in, err
		}
		if !json.Valid(in.Body) {
			return in, usageError("--input %s is not JSON.", r.input)
		}
	}
	in.Path = args[len(args)-1]
	if in.Method = http.MethodGet; len(args) == 2 {
		in.Method = strings.ToUpper(args[0])
	}
	for _, h := range r.headers {
		name, value, is := strings.Cut(h, ":")
		if !is || strings.TrimSpace(name) == "" {
			return in, usageError("--header must have the form 'Name: value', not %q.", h)
		}
		in.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if strings.HasPrefix(in.Path, "/api/") { // the form that the API uses for paths
		p, err := t.signedIn()
		if err != nil {
			return in, err
		}
		if u, err := url.Parse(p.URL); err == nil {
			in.Path = u.Scheme + "://" + u.Host + in.Path
		}
	}
	if len(fields) == 0 {
		return in, nil
	}
	if in.Method != http.MethodGet {
		in.Body, err = json.Marshal(fields)
		return in, err
	}
	query := url.Values{}
	for name, value := range fields {
		if s, is := value.(string); is {
			query.Set(name, s)
		} else {
			b, _ := json.Marshal(value) // JSON encodes again
			query.Set(name, string(b))
		}
	}
	separator := "?"
	if strings.Contains(in.Path, "?") {
		separator = "&"
	}
	in.Path += separator + query.Encode()
	return in, nil
}

// parseFields parses fields of the form name=value.
func parseFields(texts, typed []string) (map[string]any, error) {
	fields := map[string]any{}
	add := func(flag, field string, value func(string) (any, error)) (err error) {
		name, text, is := strings.Cut(field, "=")
		if !is || name == "" {
			return usageError("%s must have the form name=value, not %q.", flag, field)
		}
		if _, set := fields[name]; set {
			return usageError("the field %q is set twice.", name)
		}
		fields[name], err = value(text)
		return err
	}
	for _, f := range texts {
		if err := add("--field", f, func(s string) (any, error) { return s, nil }); err != nil {
			return nil, err
		}
	}
	for _, f := range typed {
		if err := add("--typed-field", f, func(s string) (any, error) {
			if name, is := strings.CutPrefix(s, "@"); is {
				b, err := os.ReadFile(name)
				if err != nil {
					return nil, usageError("%s", err)
				}
				return strings.TrimRight(string(b), "\r\n"), nil
			}
			if json.Valid([]byte(s)) {
				return json.RawMessage(s), nil // keeps every digit
			}
			return s, nil
		}); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

// bodyFrom reads a file, or standard input for "-".
func (t *tool) bodyFrom(name string) ([]byte, error) {
	from := t.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usageError("%s", err)
		}
		defer func() { _ = f.Close() }()
		from = f
	}
	return io.ReadAll(from)
}

// printResponse prints a response.
func (t *tool) printResponse(a *client.RawResponse, include bool) error {
	if include {
		lines := []string{fmt.Sprintf("HTTP %d %s", a.StatusCode, http.StatusText(a.StatusCode))}
		for _, name := range slices.Sorted(maps.Keys(a.Header)) {
			for _, value := range a.Header[name] {
				lines = append(lines, name+": "+value)
			}
		}
		if _, err := fmt.Fprintln(t.Out, clean(strings.Join(lines, "\n"))+"\n"); err != nil {
			return err
		}
	}
	return t.body(a.Body)
}

// body prints a response body: JSON indented on a terminal, anything else unchanged.
func (t *tool) body(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	switch isJSON := json.Valid(b); {
	case t.machineOutput() && isJSON:
		return t.encode(json.RawMessage(b))
	case terminal(t.Out):
		if isJSON {
			var indented bytes.Buffer
			_ = json.Indent(&indented, b, "", "  ") // it is valid
			b = indented.Bytes()
		}
		_, err := fmt.Fprintln(t.Out, strings.TrimRight(clean(string(b)), "\n"))
		return err
	}
	_, err := t.Out.Write(b)
	return err
}

// pages fetches all pages of a list and prints one array. Entries that move to a later page in the
// meantime are printed once.
func (t *tool) pages(ctx context.Context, c *client.Client, in client.RawRequest) error {
	if in.Method != http.MethodGet {
		return usageError("--paginate needs GET.")
	}
	path, text, _ := strings.Cut(in.Path, "?")
	query, err := url.ParseQuery(text)
	if err != nil {
		return usageError("invalid query in %q.", in.Path)
	}
	if query.Get("limit") == "" {
		query.Set("limit", strconv.Itoa(client.PageSize))
	}
	items, seen := []json.RawMessage{}, map[string]bool{}
	for page := 1; ; page++ {
		in.Path = path + "?" + query.Encode()
		a, err := c.Raw(ctx, in)
		if err != nil {
			return err
		}
		var list struct {
			Data       []json.RawMessage `json:"data"`
			Pagination *struct {
				TotalPages int     `json:"totalPages"`
				NextCursor *string `json:"nextCursor"`
			} `json:"pagination"`
		}
		if json.Unmarshal(a.Body, &list) != nil || list.Pagination == nil {
			return usageError("%s is not a paginated list. Remove --paginate.", path)
		}
		for _, item := range list.Data {
			var known struct {
				ID string `json:"id"`
			}
			if json.Unmarshal(item, &known) == nil && known.ID != "" {
				if seen[known.ID] {
					continue
				}
				seen[known.ID] = true
			}
			items = append(items, item)
		}
		if next := list.Pagination.NextCursor; next != nil {
			query.Del("page")
			query.Set("cursor", *next)
			continue
		}
		if query.Has("cursor") || len(list.Data) == 0 || page >= list.Pagination.TotalPages {
			break
		}
		query.Set("page", strconv.Itoa(page+1)) // the server has no cursors
	}
	return t.encode(items)
}
