package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxMessage is the maximum length of a line in bytes. A longer one is rejected and skipped.
const maxMessage = 4 << 20

// stdio carries messages as lines of JSON. It answers invalid messages as JSON-RPC 2.0 requires and
// continues the session. The SDK's own transport ends the session in that case, and abandons
// pending requests when the input ends.
type stdio struct {
	in  io.ReadCloser
	out io.Writer
}

// Connect starts reading. It implements the SDK's Transport.
func (t *stdio) Connect(context.Context) (sdk.Connection, error) {
	c := &connection{
		in: t.in, out: t.out, incoming: make(chan jsonrpc.Message), finished: make(chan struct{}),
		closed: make(chan struct{}), pending: map[any]*batch{},
	}
	go c.readLines()
	return c, nil
}

// connection carries the messages of one session. It implements the SDK's Connection.
type connection struct {
	in       io.ReadCloser
	out      io.Writer
	incoming chan jsonrpc.Message
	finished chan struct{} // closed when the input has ended and every request is answered
	readErr  error         // the reason, once finished is closed

	closeOnce sync.Once
	closed    chan struct{}
	closeErr  error

	mu      sync.Mutex
	pending map[any]*batch // unanswered requests by id; nil for one outside a batch
	ended   bool           // the input has ended
}

// batch collects the answers to messages that came in one array.
type batch struct {
	open    int // unanswered requests
	answers []json.RawMessage
}

// Read returns the next message, or io.EOF once all are answered.
func (c *connection) Read(ctx context.Context) (jsonrpc.Message, error) {
	select {
	case m := <-c.incoming:
		return m, nil
	case <-c.finished:
		return nil, c.readErr
	case <-c.closed:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Write sends a message. The answers to a batch are sent together.
func (c *connection) Write(ctx context.Context, m jsonrpc.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, answer := m.(*jsonrpc.Response)
	if answer && r.Error != nil {
		r = &jsonrpc.Response{ID: r.ID, Error: plain(r.Error)}
		m = r
	}
	text, err := jsonrpc.EncodeMessage(m)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !answer {
		return c.send(text)
	}
	id := r.ID.Raw()
	b, asked := c.pending[id]
	delete(c.pending, id)
	defer c.finishIfDone()
	if !asked || b == nil {
		return c.send(text)
	}
	b.open--
	b.answers = append(b.answers, text)
	return c.sendBatch(b)
}

// plain converts an error of the SDK for clients: with a code of JSON-RPC and without Go terms.
func plain(err error) error {
	e := jsonrpc.Error{Code: 0, Message: err.Error()}
	if wire, is := errors.AsType[*jsonrpc.Error](err); is {
		e.Code, e.Data = wire.Code, wire.Data
	}
	switch {
	case strings.Contains(e.Message, "during session initialization"):
		e.Code, e.Message = jsonrpc.CodeInvalidRequest, "The session is not initialized. Call initialize first."
	case strings.Contains(e.Message, "json:") || strings.Contains(e.Message, "unmarshal"):
		e.Code, e.Message = jsonrpc.CodeInvalidParams, "Invalid params: a value has the wrong type."
	case e.Code == 0:
		e.Code = jsonrpc.CodeInternalError
	}
	return &e
}

// Close ends the session. It closes the input.
func (c *connection) Close() error {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.closeErr = c.in.Close()
	})
	return c.closeErr
}

// SessionID returns "": standard input has one session.
func (c *connection) SessionID() string { return "" }

// send writes one line. The caller holds mu.
func (c *connection) send(text []byte) error {
	_, err := c.out.Write(append(text, '\n'))
	return err
}

// sendBatch sends the answers once all are there. The caller holds mu.
func (c *connection) sendBatch(b *batch) error {
	if b.open > 0 || len(b.answers) == 0 {
		return nil
	}
	text, err := json.Marshal(b.answers)
	if err != nil {
		return err
	}
	return c.send(text)
}

// finishIfDone ends the session if the input has ended and every request is answered. The caller
// holds mu.
func (c *connection) finishIfDone() {
	if !c.ended || len(c.pending) > 0 {
		return
	}
	select {
	case <-c.finished:
	default:
		close(c.finished)
	}
}

// readLines reads until the input ends.
func (c *connection) readLines() {
	in := bufio.NewReaderSize(c.in, 64<<10)
	var err error
	for err == nil {
		var line []byte
		var tooLong bool
		line, tooLong, err = readLine(in)
		if tooLong {
			c.refuse(nil, jsonrpc.CodeInvalidRequest, "The message is extendInput than 4 MiB.")
			continue
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && !c.accept(line) {
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended, c.readErr = true, err
	c.finishIfDone()
}

// readLine returns the next line and reports whether it exceeded maxMessage.
func readLine(in *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxMessage {
			line, tooLong = nil, true
		}
		if !tooLong {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}

// accept passes on the messages of a line and answers invalid ones. It returns false once the
// session is closed.
func (c *connection) accept(line []byte) bool {
	if !utf8.Valid(line) || !json.Valid(line) {
		c.refuse(nil, jsonrpc.CodeParseError, "Parse error: this line is not JSON in UTF-8.")
		return true
	}
	if line[0] != '[' {
		m, refusal := c.message(line, nil)
		if refusal != nil {
			c.write(refusal)
		}
		return m == nil || c.pass(m)
	}
	var parts []json.RawMessage
	_ = json.Unmarshal(line, &parts) // valid, and an array
	if len(parts) == 0 {
		c.refuse(nil, jsonrpc.CodeInvalidRequest, "Invalid Request: the array is empty.")
		return true
	}
	b := &batch{open: 1} // 1 for the batch itself, so that nothing is sent before all of it is read
	var messages []jsonrpc.Message
	for _, part := range parts {
		m, refusal := c.message(part, b)
		if refusal != nil {
			c.mu.Lock()
			b.answers = append(b.answers, refusal)
			c.mu.Unlock()
		}
		if m != nil {
			messages = append(messages, m)
		}
	}
	c.mu.Lock()
	b.open--
	_ = c.sendBatch(b)
	c.mu.Unlock()
	for _, m := range messages {
		if !c.pass(m) {
			return false
		}
	}
	return true
}

// pass passes a message to the SDK. It returns false if the session is closed.
func (c *connection) pass(m jsonrpc.Message) bool {
	select {
	case c.incoming <- m:
		return true
	case <-c.closed:
		return false
	}
}

// envelope has the fields that make a JSON value a message.
type envelope struct {
	Version json.RawMessage `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  json.RawMessage `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`
}

// message decodes a message and records that it needs an answer, or returns the answer to an
// invalid one.
func (c *connection) message(text []byte, b *batch) (jsonrpc.Message, []byte) {
	invalid := func(id json.RawMessage, why string) (jsonrpc.Message, []byte) {
		return nil, jsonrpcError(id, jsonrpc.CodeInvalidRequest, "Invalid Request: "+why)
	}
	var e envelope
	if text[0] != '{' || json.Unmarshal(text, &e) != nil {
		return invalid(nil, "a message is an object.")
	}
	id, usable := idOf(e.ID)
	if !usable {
		return invalid(nil, "id must be a string or a whole number.")
	}
	echo := e.ID
	if string(e.Version) != `"2.0"` {
		return invalid(echo, `jsonrpc must be "2.0".`)
	}
	if e.Method == nil {
		if id == nil || (e.Result == nil) == (e.Error == nil) {
			return invalid(echo, "method is missing.")
		}
	} else if e.Method[0] != '"' {
		return invalid(echo, "method must be a string.")
	}
	if e.Params != nil && e.Params[0] != '{' && e.Params[0] != '[' {
		return invalid(echo, "params must be an object.")
	}
	m, err := jsonrpc.DecodeMessage(text)
	if err != nil {
		return invalid(echo, "a message has jsonrpc, id, method and params.")
	}
	if _, request := m.(*jsonrpc.Request); request && id != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, used := c.pending[id]; used {
			return invalid(echo, "a request with this id is still in progress.")
		}
		c.pending[id] = b
		if b != nil {
			b.open++
		}
	}
	return m, nil
}

// idOf returns the id in the form that the SDK uses, or nil if there is none, and reports whether
// it is usable: null, fractions and numbers that JavaScript would round are not.
func idOf(raw json.RawMessage) (id any, usable bool) {
	if raw == nil {
		return nil, true
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil, false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) <= 1<<53
	}
	return nil, false
}

// jsonrpcError encodes a JSON-RPC 2.0 error. A nil id becomes null.
func jsonrpcError(id json.RawMessage, code int64, why string) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	text, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   jsonrpc.Error   `json:"error"`
	}{"2.0", id, jsonrpc.Error{Code: code, Message: why}})
	if err != nil { // every part is valid JSON
		panic("mcp: " + err.Error())
	}
	return text
}

func (c *connection) refuse(id json.RawMessage, code int64, why string) {
	c.write(jsonrpcError(id, code, why))
}

// write sends a line. An error recurs when the SDK writes.
func (c *connection) write(text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.send(text)
}
