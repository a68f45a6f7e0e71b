package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// address is that of a simulated payment page.
var address = regexp.MustCompile(`http://\S+/pay/demo/\w+\s`)

// watched is a named pipe into which another process writes, among other text, the address of a
// payment page.
type watched struct{ page chan string }

func watchCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: watch pipe")
	}
	ts.Check(watch(ts, ts.MkAbs(args[0])))
}

// watch makes the pipe, and reads it until the script ends.
func watch(ts *testscript.TestScript, file string) error {
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		return err
	}
	pipe, err := os.OpenFile(file, os.O_RDWR, 0) // which waits for no writer
	if err != nil {
		return err
	}
	ts.Defer(func() { _ = pipe.Close() })
	w := &watched{make(chan string, 1)}
	go w.read(pipe)
	pipes(ts)[file] = w
	return nil
}

// read tells of the first address, and reads on, so that the writer can write.
func (w *watched) read(from io.Reader) {
	var text strings.Builder
	for told, part := false, make([]byte, 4096); ; {
		n, err := from.Read(part)
		text.Write(part[:n])
		if page := address.FindString(text.String()); page != "" && !told {
			w.page <- strings.TrimSpace(page)
			told = true
		}
		if err != nil {
			return
		}
	}
}

// pageIn returns the address of the payment page that is in a file, or that is written to a pipe.
func pageIn(ts *testscript.TestScript, file string) (string, error) {
	w, is := pipes(ts)[file]
	if !is {
		b, err := os.ReadFile(file)
		return strings.Trim(address.FindString(strings.ReplaceAll(string(b), `"`, " ")), " "), err
	}
	select {
	case page := <-w.page:
		w.page <- page // for the next button
		return page, nil
	case <-time.After(time.Minute):
		return "", fmt.Errorf("nothing wrote a payment page to %s", file)
	}
}

// pay presses a button of the payment page whose address is in the file.
func pay(ts *testscript.TestScript, file, action string) error {
	page, err := pageIn(ts, file)
	if err != nil {
		return err
	}
	answer, err := http.PostForm(page, url.Values{"action": {action}, "card": {"4242"}})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK { // after the redirect to the page
		return fmt.Errorf("%s on the payment page: HTTP %d", action, answer.StatusCode)
	}
	return nil
}

func pipes(ts *testscript.TestScript) map[string]*watched {
	return ts.Value("pipes").(map[string]*watched)
}
