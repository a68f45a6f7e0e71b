package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/cli"
	"github.com/billetcloud/billet/internal/version"
)

// What is sent counts from the server's time: the clock of this machine may be wrong.
func TestDurationsCountFromTheServersTime(t *testing.T) {
	now := time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)
	const (
		end   = `"autoTerminateAt":"2028-02-29T20:00:00Z"`
		begin = `from=2028-02-29T00%3A00%3A00Z`
	)
	for _, c := range []struct{ args, sent string }{
		{"deploy --offer off_1 --name a --os ubuntu --ssh-public-key-file KEY --max-price 9 " +
			"--auto-terminate 8h --yes", end},
		{"set dep_1 --auto-terminate 8h", end},
		{"auto-terminate 8h dep_1 --yes", end},
		{"wallet statement --from 12h", begin},
		{"usage --from 12h", begin},
		{"bill export --from 12h", begin},
		{"offers history off_1 --from 12h", begin},
	} {
		for _, off := range []time.Duration{-5 * time.Hour, 0, 26 * time.Hour} {
			t.Run(fmt.Sprint(c.args, " ", off), func(t *testing.T) {
				var sent strings.Builder
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					fmt.Fprintln(&sent, r.Method, r.URL.RequestURI(), string(body))
					w.Header().Set("Date", now.Format(http.TimeFormat))
					w.Header().Set("Content-Type", "application/json")
					one := `{"id":"dep_1","name":"a","status":"running","operatingSystems":["ubuntu"]}`
					if lists.MatchString(r.URL.Path) {
						one = "[" + one + "]"
					}
					_, _ = fmt.Fprintf(w, `{"success":true,"data":%s}`, one)
				}))
				defer server.Close()
				args := strings.ReplaceAll(c.args, "KEY", publicKeyFile(t))
				out, err := os.Create(filepath.Join(t.TempDir(), "out"))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = out.Close() }()
				cli.Main(t.Context(), cli.System{
					In: out, Out: out, Err: out,
					Env: []string{"HOME=" + t.TempDir(), "BILLET_URL=" + server.URL, "BILLET_API_KEY=pk_live_1"},
					Now: func() time.Time { return now.Add(off) }, Version: version.Info{Version: "test"},
				}, strings.Fields(args))
				if !strings.Contains(sent.String(), c.sent) {
					said, _ := os.ReadFile(out.Name())
					t.Errorf("no %s in\n%s%s", c.sent, sent.String(), said)
				}
			})
		}
	}
}

// lists are the paths of lists.
var lists = regexp.MustCompile(`/(deployments|offers|ssh-keys|transactions)$`)
