package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestEscapes(t *testing.T) {
	for _, c := range []struct {
		keys  []string
		typed string
		leave bool
		helps int
	}{
		{[]string{"ls\r"}, "ls\r", false, 0},
		{[]string{"~."}, "", true, 0},
		{[]string{"ls\r~", ".ls"}, "ls\r", true, 0},
		{[]string{"ls ~.\r"}, "ls ~.\r", false, 0},
		{[]string{"~~.\r"}, "~.\r", false, 0},
		{[]string{"~a~."}, "~a~.", false, 0},
		{[]string{"~?~?", "x"}, "x", false, 2},
		{[]string{"\x03~."}, "\x03~.", false, 0},
		{[]string{"x\n~", "\r"}, "x\n~\r", false, 0},
	} {
		helps, typed, leave := 0, "", false
		e := escapes{help: func() { helps++ }}
		for _, keys := range c.keys {
			var b []byte
			b, leave = e.pass([]byte(keys))
			typed += string(b)
		}
		if typed != c.typed || leave != c.leave || helps != c.helps {
			t.Errorf("%q: %q, %v, %d, want %q, %v, %d", c.keys, typed, leave, helps, c.typed, c.leave, c.helps)
		}
	}
}

// consoleServer answers as Billet does. The console repeats what is typed.
func consoleServer(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/inventory/deployments/dep_1", "/api/v1/inventory/deployments/dep_2":
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"success":true,"data":{"id":%q,"name":"training","status":"running"}}`,
				filepath.Base(r.URL.Path))
			return
		case "/api/v1/inventory/deployments/dep_2/console":
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"success":false,"error":{"code":"CONFLICT","message":"It is open."}}`)
			return
		}
		if r.Header.Get("Authorization") != "Bearer pk_live_x" || r.URL.RawQuery != "takeOver=true" {
			t.Errorf("the console was asked for with %v %q", r.Header, r.URL.RawQuery)
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ctx := context.WithoutCancel(r.Context())
		_ = ws.Write(ctx, websocket.MessageBinary, nil)
		_ = ws.Write(ctx, websocket.MessageBinary, []byte("login: "))
		for {
			_, b, err := ws.Read(ctx)
			if err != nil {
				return
			}
			_ = ws.Write(ctx, websocket.MessageBinary, b)
			if strings.Contains(string(b), "halt") {
				_ = ws.Close(websocket.StatusNormalClosure, "The deployment has ended.")
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestConsole(t *testing.T) {
	s := consoleServer(t)
	for _, c := range []struct {
		machine, typed, out, err string
		exit                     int
	}{
		{"dep_1", "ls\r~.", "", "", exitOK},
		{"dep_1", "halt\r", "login: halt\r", "The deployment has ended.", exitOther},
		{"dep_2", "", "", "It is open.", exitConflict},
	} {
		dir := t.TempDir()
		in := filepath.Join(dir, "in")
		if err := os.WriteFile(in, []byte(c.typed), 0o600); err != nil {
			t.Fatal(err)
		}
		var files []*os.File
		for _, name := range []string{"in", "out", "err"} {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		exit := Main(t.Context(), System{
			In: files[0], Out: files[1], Err: files[2],
			Env: []string{"BILLET_URL=" + s.URL, "BILLET_API_KEY=pk_live_x", "HOME=" + dir},
		}, []string{"console", c.machine, "--take-over"})
		out, _ := os.ReadFile(filepath.Join(dir, "out"))
		text, _ := os.ReadFile(filepath.Join(dir, "err"))
		if exit != c.exit || c.out != "" && string(out) != c.out || !strings.Contains(string(text), c.err) {
			t.Errorf("%s: exit %d, %q, %q; want %d, %q, %q", c.machine, exit, out, text, c.exit, c.out, c.err)
		}
	}
}
