package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/coder/websocket"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// consoleSilence is how long the server may send nothing. It sends an empty message every few
// seconds.
const consoleSilence = 30 * time.Second

func (t *tool) console() *cobra.Command {
	var takeOver bool
	cmd := &cobra.Command{
		Use: "console <machine>", Short: "Open the serial console of a machine", Args: cobra.ExactArgs(1),
		Long: `Shows what the machine writes to its serial console, and types on it: for a machine that does not
start, or whose network or SSH does not work. The machine's own sign-in protects it.

At the beginning of a line:

    ~.   close the console
    ~~   type ~
    ~?   show these keys

All other keys, such as Ctrl-C, go to the machine. The console shows nothing until the machine
writes something; press Enter to have it ask for a sign-in. A machine has to be told to use its
serial port: Linux by console=ttyS0 (or ttyS1) on the kernel's command line.

One console of a machine can be open at a time. --take-over closes the other one. It is closed after
12 hours, after 30 minutes without input, and when the deployment ends. The audit log has who opened
it, and for how long; what was shown or typed is not stored.

Without a terminal, standard input is typed, and the output is written until the console is closed.`,
		Example: "  billet console training\n  billet console training </dev/null | tee boot.log",
	}
	cmd.Flags().BoolVar(&takeOver, "take-over", false, "close the console that is open, and open this one")
	t.completeMachines(cmd)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		ws, err := t.dialConsole(ctx, d.ID, takeOver)
		if err != nil {
			return err
		}
		defer func() { _ = ws.CloseNow() }()
		t.note("Connected to the serial console of %s. To close it, press Enter, then ~ and a period.", clean(d.Name))
		if terminal(t.In) {
			before, err := term.MakeRaw(int(t.In.Fd()))
			if err != nil {
				return err
			}
			defer func() { _ = term.Restore(int(t.In.Fd()), before) }()
		}
		err = t.relayConsole(ctx, ws)
		if terminal(t.In) {
			_, _ = fmt.Fprint(t.Err, "\r\n")
		}
		return err
	})
}

// dialConsole opens the WebSocket.
func (t *tool) dialConsole(ctx context.Context, deployment string, takeOver bool) (*websocket.Conn, error) {
	p, err := t.signedIn()
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(p.URL)
	if err != nil {
		return nil, usageError("the server's address is malformed.")
	}
	if at.Path = strings.TrimRight(at.Path, "/"); at.Path == "" {
		at.Path = client.DefaultPath
	}
	at = at.JoinPath("deployments", deployment, "console")
	if takeOver {
		at.RawQuery = "takeOver=true"
	}
	ws, response, err := websocket.Dial(ctx, at.String(), &websocket.DialOptions{
		// The key is for this server only.
		HTTPClient: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		HTTPHeader: http.Header{
			"Authorization": {"Bearer " + p.APIKey}, "User-Agent": {"billet/" + t.Version.Version},
		},
	})
	if err == nil {
		return ws, nil
	}
	if response == nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	refused := &client.Error{StatusCode: response.StatusCode, Message: "the server does not open the console."}
	var body struct {
		Error struct {
			Code      client.Code
			Message   string
			RequestID string
		}
	}
	if b, err := io.ReadAll(response.Body); err == nil && json.Unmarshal(b, &body) == nil && body.Error.Code != "" {
		refused.Code, refused.Message, refused.RequestID = body.Error.Code, body.Error.Message, body.Error.RequestID
	}
	return nil, refused
}

// relayConsole relays until the user or the server closes the console.
func (t *tool) relayConsole(ctx context.Context, ws *websocket.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := make(chan struct{})
	go func() {
		keys := escapes{help: func() { _, _ = fmt.Fprint(t.Err, consoleHelp) }}
		b := make([]byte, 4096)
		for {
			n, err := t.In.Read(b)
			typed, leave := keys.pass(b[:n])
			if len(typed) > 0 && ws.Write(ctx, websocket.MessageBinary, typed) != nil {
				return
			}
			if leave {
				close(left)
				_ = ws.Close(websocket.StatusNormalClosure, "")
				return
			}
			if err != nil {
				return // the output goes on
			}
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- t.showConsole(ctx, ws) }()
	select {
	case <-left:
		return nil
	case err := <-ended:
		select {
		case <-left: // which is why it has ended
			return nil
		default:
			return err
		}
	}
}

// showConsole writes the output until the console is closed.
func (t *tool) showConsole(ctx context.Context, ws *websocket.Conn) error {
	ws.SetReadLimit(-1) // a message is as long as what the machine wrote at once
	for {
		alive, cancel := context.WithTimeout(ctx, consoleSilence)
		_, from, err := ws.Reader(alive)
		if err == nil {
			_, err = io.Copy(t.Out, from)
		}
		cancel()
		if err == nil {
			continue
		}
		if end, is := errors.AsType[websocket.CloseError](err); is {
			if end.Reason == "" {
				return nil
			}
			return &cliError{exitOther, "CONSOLE_CLOSED", clean(end.Reason)}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &cliError{exitUnavailable, "UNREACHABLE", "the connection was lost. Run the command again."}
	}
}

const consoleHelp = "\r\n~.  close the console\r\n~~  type ~\r\n~?  show these keys\r\n"

// escapes finds the keys for billet itself in what is typed.
type escapes struct {
	help func()
	// inLine is whether something was typed since the beginning of the line, held whether the last
	// key was a ~ that was not sent yet.
	inLine, held bool
}

// pass returns what goes to the machine, and whether the console is to be closed.
func (e *escapes) pass(keys []byte) (typed []byte, leave bool) {
	for _, k := range keys {
		if e.held {
			e.held = false
			switch k {
			case '.':
				return typed, true
			case '?':
				e.help()
				continue
			case '~':
			default:
				typed = append(typed, '~')
			}
		} else if k == '~' && !e.inLine {
			e.held = true
			continue
		}
		typed = append(typed, k)
		e.inLine = k != '\r' && k != '\n'
	}
	return typed, false
}
