//go:build js && wasm

package main

import (
	"errors"
	"sync"
	"syscall/js"

	"github.com/billetcloud/billet/web/ssh/terminal"
)

func main() {
	js.Global().Set("billetSSH", js.ValueOf(map[string]any{
		"generateKey": js.FuncOf(generateKey),
		"connect":     js.FuncOf(connect),
	}))
	select {} // until the page ends
}

func generateKey(js.Value, []js.Value) any {
	private, public, err := terminal.GenerateKey()
	if err != nil {
		panic(err) // the browser has no randomness
	}
	return map[string]any{"privateKey": private, "publicKey": public}
}

func connect(_ js.Value, args []js.Value) any {
	return promise(func() (any, error) {
		if len(args) == 0 || args[0].Type() != js.TypeObject {
			return nil, &terminal.Error{
				Code: terminal.Failed, Message: "connect needs an object with url, user and privateKey.",
			}
		}
		return open(args[0])
	})
}

// promise returns a promise of what f returns, since a function that JavaScript calls must not
// block.
func promise(f func() (any, error)) js.Value {
	var executor js.Func
	executor = js.FuncOf(func(_ js.Value, settle []js.Value) any {
		go func() {
			defer executor.Release()
			value, err := f()
			if err != nil {
				settle[1].Invoke(thrown(err))
				return
			}
			settle[0].Invoke(value)
		}()
		return nil
	})
	return js.Global().Get("Promise").New(executor)
}

// await blocks until a promise is settled. It must not be called by a function that JavaScript
// calls.
func await(promise js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	settled := make(chan outcome, 1)
	done := js.FuncOf(func(_ js.Value, args []js.Value) any {
		settled <- outcome{value: args[0]}
		return nil
	})
	defer done.Release()
	failed := js.FuncOf(func(_ js.Value, args []js.Value) any {
		settled <- outcome{err: errors.New(messageOf(args[0]))}
		return nil
	})
	defer failed.Release()
	js.Global().Get("Promise").Call("resolve", promise).Call("then", done, failed)
	got := <-settled
	return got.value, got.err
}

// messageOf returns the text of what JavaScript threw.
func messageOf(thrown js.Value) string {
	if thrown.Type() == js.TypeObject {
		if message := thrown.Get("message"); message.Type() == js.TypeString {
			return message.String()
		}
	}
	return js.Global().Get("String").Invoke(thrown).String()
}

// thrown returns the error as a JavaScript Error with its code.
func thrown(err error) js.Value {
	code := terminal.Unreachable
	if e, is := errors.AsType[*terminal.Error](err); is {
		code = e.Code
	}
	out := js.Global().Get("Error").New(err.Error())
	out.Set("code", string(code))
	return out
}

func open(o js.Value) (js.Value, error) {
	callback := func(name string, value any) {
		if f := o.Get(name); f.Type() == js.TypeFunction {
			f.Invoke(value)
		}
	}
	status := func(s terminal.Status) {
		callback("onStatus", map[string]any{
			"phase": string(s.Phase), "fingerprint": s.Fingerprint, "known": s.Known, "kept": s.Kept,
			"resumed": s.Resumed,
		})
	}
	status(terminal.Status{Phase: terminal.PhaseConnecting})
	conn, err := dial(text(o, "url", ""))
	if err != nil {
		return js.Value{}, err
	}
	session, err := terminal.Open(conn, terminal.Config{
		User:       text(o, "user", "root"),
		HostKeys:   texts(o.Get("hostKeys")),
		PrivateKey: text(o, "privateKey", ""),
		Passphrase: text(o, "passphrase", ""),
		Columns:    number(o, "cols", 80),
		Rows:       number(o, "rows", 24),
		Term:       text(o, "term", "xterm-256color"),
		Keep:       text(o, "keep", ""),
		Status:     status,
		Data: func(b []byte) {
			data := js.Global().Get("Uint8Array").New(len(b))
			js.CopyBytesToJS(data, b)
			callback("onData", data)
		},
	})
	if err != nil {
		if reason := conn.Reason(); reason != "" {
			err = &terminal.Error{Code: terminal.Unreachable, Message: reason}
		}
		return js.Value{}, err
	}
	tasks := newQueue()
	go func() {
		how := session.Wait()
		tasks.end()
		end := map[string]any{"message": how.Message, "exitCode": nil, "closeCode": conn.Code()}
		switch {
		case how.Exited:
			end["exitCode"] = how.Status
		case how.Lost:
			end["closeCode"] = brokeOff
		case how.Message == "":
			end["message"] = conn.Reason()
		}
		callback("onClose", end)
	}()
	return js.ValueOf(map[string]any{
		"write": js.FuncOf(func(_ js.Value, args []js.Value) any {
			b := bytesOf(args)
			tasks.add(func() { _, _ = session.Write(b) }) // onClose reports the end
			return nil
		}),
		"resize": js.FuncOf(func(_ js.Value, args []js.Value) any {
			if len(args) == 2 && args[0].Type() == js.TypeNumber && args[1].Type() == js.TypeNumber {
				columns, rows := args[0].Int(), args[1].Int()
				tasks.add(func() { _ = session.Resize(columns, rows) })
			}
			return nil
		}),
		"close": js.FuncOf(func(js.Value, []js.Value) any {
			go func() { _ = session.Close() }()
			return nil
		}),
		"files": js.FuncOf(func(js.Value, []js.Value) any {
			return promise(func() (any, error) { return openFiles(session) })
		}),
	}), nil
}

// queue runs tasks one after another, outside of the functions that JavaScript calls, which must
// not block.
type queue struct {
	mu    sync.Mutex
	more  *sync.Cond
	todo  []func()
	ended bool
}

func newQueue() *queue {
	q := &queue{}
	q.more = sync.NewCond(&q.mu)
	go func() {
		for {
			q.mu.Lock()
			for len(q.todo) == 0 && !q.ended {
				q.more.Wait()
			}
			if q.ended {
				q.mu.Unlock()
				return
			}
			f := q.todo[0]
			q.todo = q.todo[1:]
			q.mu.Unlock()
			f()
		}
	}()
	return q
}

func (q *queue) add(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.todo = append(q.todo, f)
	q.more.Signal()
}

func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended, q.todo = true, nil
	q.more.Signal()
}

// bytesOf returns the argument of write: bytes or a text.
func bytesOf(args []js.Value) []byte {
	if len(args) == 0 {
		return nil
	}
	if args[0].Type() == js.TypeString {
		return []byte(args[0].String())
	}
	if !args[0].InstanceOf(js.Global().Get("Uint8Array")) {
		return nil
	}
	b := make([]byte, args[0].Length())
	js.CopyBytesToGo(b, args[0])
	return b
}

func text(o js.Value, name, fallback string) string {
	if v := o.Get(name); v.Type() == js.TypeString && v.String() != "" {
		return v.String()
	}
	return fallback
}

func number(o js.Value, name string, fallback int) int {
	if v := o.Get(name); v.Type() == js.TypeNumber && v.Int() > 0 {
		return v.Int()
	}
	return fallback
}

func texts(list js.Value) []string {
	var out []string
	if list.Type() != js.TypeObject {
		return nil
	}
	for i := range list.Length() {
		out = append(out, list.Index(i).String())
	}
	return out
}
