//go:build js && wasm

package main

import (
	"context"
	"errors"
	"io"
	"syscall/js"

	"github.com/billetcloud/billet/web/ssh/terminal"
)

// sliceSize is how much of a file an upload reads at once.
const sliceSize = 1 << 20

// openFiles opens the machine's files over a session.
func openFiles(session *terminal.Session) (any, error) {
	files, err := session.Files()
	if err != nil {
		return nil, err
	}
	paths := func(n int, f func(paths []string) (any, error)) js.Func {
		return js.FuncOf(func(_ js.Value, args []js.Value) any {
			return promise(func() (any, error) {
				var given []string
				for _, a := range args {
					if a.Type() == js.TypeString {
						given = append(given, a.String())
					}
				}
				if len(given) != n {
					return nil, &terminal.Error{Code: terminal.Failed, Message: "A path is missing."}
				}
				return f(given)
			})
		})
	}
	return js.ValueOf(map[string]any{
		"list": paths(1, func(p []string) (any, error) {
			found, err := files.List(context.Background(), p[0])
			if err != nil {
				return nil, err
			}
			return listing(found), nil
		}),
		"makeFolder": paths(1, func(p []string) (any, error) { return js.Undefined(), files.MakeFolder(p[0]) }),
		"rename":     paths(2, func(p []string) (any, error) { return js.Undefined(), files.Rename(p[0], p[1]) }),
		"remove": js.FuncOf(func(_ js.Value, args []js.Value) any {
			return cancelable(func(ctx context.Context) error { return files.Remove(ctx, args[0].String()) })
		}),
		"upload": js.FuncOf(func(_ js.Value, args []js.Value) any {
			return cancelable(func(ctx context.Context) error {
				return upload(ctx, files, args[0].String(), args[1], args[2])
			})
		}),
		"download": js.FuncOf(func(_ js.Value, args []js.Value) any {
			return cancelable(func(ctx context.Context) error {
				return download(ctx, files, args[0].String(), args[1])
			})
		}),
		"close": js.FuncOf(func(js.Value, []js.Value) any {
			go func() { _ = files.Close() }()
			return nil
		}),
	}), nil
}

// cancelable starts f, and returns its promise and a function that cancels it.
func cancelable(f func(context.Context) error) js.Value {
	ctx, cancel := context.WithCancel(context.Background())
	stop := js.FuncOf(func(js.Value, []js.Value) any {
		cancel()
		return nil
	})
	done := promise(func() (any, error) {
		defer cancel()
		return js.Undefined(), f(ctx)
	})
	return js.ValueOf(map[string]any{"done": done, "cancel": stop})
}

func listing(l terminal.Listing) js.Value {
	entries := make([]any, len(l.Entries))
	for i, e := range l.Entries {
		entries[i] = map[string]any{
			"name": e.Name, "kind": string(e.Kind), "linksTo": string(e.LinksTo), "size": float64(e.Size),
			"modified": float64(e.Modified.UnixMilli()), "mode": e.Mode, "usable": e.Usable,
		}
	}
	return js.ValueOf(map[string]any{"path": l.Path, "partial": l.Partial, "entries": entries})
}

// call calls a function of an object where it has one.
func call(o js.Value, name string, value any) (result js.Value, err error) {
	defer func() { // JavaScript's exceptions are panics here
		if p, ok := recover().(js.Error); ok {
			err = errors.New(messageOf(p.Value))
		}
	}()
	if f := o.Get(name); f.Type() == js.TypeFunction {
		return f.Invoke(value), nil
	}
	return js.Undefined(), nil
}

func upload(ctx context.Context, files *terminal.Files, path string, file, o js.Value) error {
	return files.Upload(ctx, terminal.Upload{
		Path: path, From: &blob{of: file, size: int64(file.Get("size").Float())},
		Size: int64(file.Get("size").Float()), Replace: o.Get("replace").Truthy(),
		Progress: func(n int64) { _, _ = call(o, "onProgress", float64(n)) },
	})
}

func download(ctx context.Context, files *terminal.Files, path string, o js.Value) error {
	return files.Download(ctx, path,
		func(size int64) error {
			_, err := call(o, "onSize", float64(size))
			return err
		},
		sink{o}, func(n int64) { _, _ = call(o, "onProgress", float64(n)) })
}

// blob is a File or Blob of the browser as an io.Reader.
type blob struct {
	of       js.Value
	at, size int64
	slice    []byte
}

func (b *blob) Read(p []byte) (int, error) {
	if len(b.slice) == 0 {
		if b.at >= b.size {
			return 0, io.EOF
		}
		end := min(b.at+sliceSize, b.size)
		buffer, err := await(b.of.Call("slice", float64(b.at), float64(end)).Call("arrayBuffer"))
		if err != nil {
			return 0, err
		}
		data := js.Global().Get("Uint8Array").New(buffer)
		if int64(data.Length()) != end-b.at {
			return 0, errors.New("the file is shorter than it was")
		}
		b.slice = make([]byte, data.Length())
		js.CopyBytesToGo(b.slice, data)
		b.at = end
	}
	n := copy(p, b.slice)
	b.slice = b.slice[n:]
	return n, nil
}

// sink gives what is written to onData, and waits until that was taken.
type sink struct{ o js.Value }

func (s sink) Write(p []byte) (int, error) {
	data := js.Global().Get("Uint8Array").New(len(p))
	js.CopyBytesToJS(data, p)
	taken, err := call(s.o, "onData", data)
	if err == nil {
		_, err = await(taken)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}
