package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

// patience is how long a test waits for what has to come.
const patience = time.Minute

// stream is a reader of server-sent events.
type stream struct {
	t     *testing.T
	resp  *http.Response
	lines *bufio.Reader
	last  string // id
	retry string
}

// sent is one event as it came.
type sent struct{ id, kind, data string }

// live serves the world over real connections, and checks its streams often.
func (w *world) live() *httptest.Server {
	w.t.Helper()
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	w.s.streams.beat, w.s.streams.recheck = 10*time.Millisecond, 10*time.Millisecond
	w.s.streams.heartbeat, w.s.streams.pong = time.Hour, time.Hour // a terminal without a reader stays open
	site := httptest.NewServer(w.s)
	w.t.Cleanup(func() {
		w.c.Events.EndWatches()
		site.Close()
	})
	return site
}

// open opens a stream with headers in pairs.
func open(t *testing.T, site *httptest.Server, who tenant, query string, headers ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", site.URL+Base+"/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if who.secret != "" {
		r.Header.Set("Authorization", "Bearer "+who.secret)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &stream{t: t, resp: resp, lines: bufio.NewReader(resp.Body)}
}

// begun is open for a stream that is expected to be one, up to its first block, which says where it
// begins.
func begun(t *testing.T, site *httptest.Server, who tenant, query string, headers ...string) *stream {
	t.Helper()
	s := open(t, site, who, query, headers...)
	if s.resp.StatusCode != 200 || s.resp.Header.Get("Content-Type") != "text/event-stream" ||
		s.resp.Header.Get("X-Ratelimit-Limit") == "" {
		b, _ := io.ReadAll(s.resp.Body)
		t.Fatalf("%d %v %s", s.resp.StatusCode, s.resp.Header, b)
	}
	if e, err := s.block(); err != nil || e.data != "" || s.retry == "" || s.last == "" {
		t.Fatalf("the stream begins with %+v %v", e, err)
	}
	return s
}

// block reads up to the next empty line. A comment is a block without data.
func (s *stream) block() (e sent, err error) {
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return e, nil
		}
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			e.id, s.last = value, value
		case "event":
			e.kind = value
		case "data":
			e.data += value
		case "retry":
			s.retry = value
		case "":
		default:
			s.t.Errorf("a line of a stream: %q", line)
		}
	}
}

// next reads the next event, past comments.
func (s *stream) next() sent {
	s.t.Helper()
	for {
		e, err := s.block()
		if err != nil {
			s.t.Fatalf("the stream ended: %v", err)
		}
		if e.data != "" {
			return e
		}
	}
}

// ends reads to the end, and fails unless that is a clean one.
func (s *stream) ends(why string) {
	s.t.Helper()
	for {
		if _, err := s.block(); err == io.EOF {
			return
		} else if err != nil {
			s.t.Fatalf("%s: the stream broke off: %v", why, err)
		}
	}
}

// happen appends an event of the tenant with that text.
func (w *world) happen(l *event.Service, who tenant, texts ...string) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		for _, text := range texts {
			if err := l.Append(ctx, tx, event.Event{Account: who.account, Subject: "dep_1",
				Type: "account.deployments_ended", Data: map[string]any{"deployments": 1, "text": text}}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e sent) text(t *testing.T) string {
	t.Helper()
	var v event.Event
	if err := json.Unmarshal([]byte(e.data), &v); err != nil || string(v.ID) != e.id || v.Type != e.kind ||
		v.CreatedAt.IsZero() ||
		v.Subject == "" {
		t.Fatalf("%+v: %v", e, err)
	}
	return fmt.Sprint(v.Data["text"])
}

// Readers that are cut off again and again while many write see every event once and in order, on
// both engines.
func TestAStreamGoesOnExactlyWhereItBrokeOff(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		site := w.live()
		const writers, each = 8, 20
		var wg sync.WaitGroup
		for n := range writers {
			wg.Go(func() {
				for i := range each {
					w.happen(w.c.Events, w.ada, fmt.Sprint(n, ".", i))
					w.happen(w.c.Events, w.bob, "another account's")
				}
			})
		}
		var orders [4][]string
		for r := range orders {
			wg.Go(func() {
				at := string(event.Beginning)
				for rest := r + 1; len(orders[r]) < writers*each; rest = rest*3%17 + 1 {
					var s *stream
					if r%2 == 0 {
						s = begun(t, site, w.ada, "", "Last-Event-ID", at)
					} else {
						s = begun(t, site, w.ada, "?lastEventId="+at)
					}
					for range min(rest, writers*each-len(orders[r])) {
						e := s.next()
						at = e.id
						orders[r] = append(orders[r], e.text(t))
					}
					_ = s.resp.Body.Close()
				}
			})
		}
		wg.Wait()
		once := map[string]bool{}
		for _, text := range orders[0] {
			once[text] = true
		}
		if len(once) != writers*each || once["another account's"] {
			t.Errorf("%d different events of %d", len(once), writers*each)
		}
		for r := range orders {
			same(t, fmt.Sprint("reader ", r), orders[r], orders[0])
		}
		last := map[byte]int{} // by writer, in the order of its commits
		for _, text := range orders[0] {
			var n, i int
			if _, err := fmt.Sscanf(text, "%d.%d", &n, &i); err != nil {
				t.Fatal(err)
			}
			if i != last[byte(n)] {
				t.Fatalf("writer %d's event %d came when %d was due", n, i, last[byte(n)])
			}
			last[byte(n)]++
		}
	})
}

func TestAStreamBeginsNowAndSaysWhere(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	first := begun(t, site, w.ada, "")
	same(t, "before anything happened", first.last, event.Beginning)
	w.happen(w.c.Events, w.ada, "one")
	same(t, "the first event", first.next().text(t), "one")
	second := begun(t, site, w.ada, "")
	same(t, "it says the newest", second.last, first.last)
	onlyThat := begun(t, site, w.ada, "?subject=dep_2")
	onlyOthers := begun(t, site, w.ada, "?type=account.deployments_ended,webhook.test&subject=dep_1")
	d := w.deploy(w.ada)
	e := second.next()
	same(t, "the deploy's event", e.kind, "deployment.created")
	if !strings.Contains(e.data, string(d)) {
		t.Errorf("%+v", e)
	}
	w.happen(w.c.Events, w.ada, "two")
	same(t, "past what the filter keeps back", onlyOthers.next().text(t), "two")
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		return w.c.Events.Append(
			ctx,
			tx,
			event.Event{Account: w.ada.account, Subject: "dep_2", Type: "x", Data: map[string]any{"text": "theirs"}},
		)
	})
	same(t, "the one subject's", onlyThat.next().text(t), "theirs")
	// The header is newer than the address, which a browser repeats as it was.
	again := begun(t, site, w.ada, "?lastEventId=evt_0", "Last-Event-ID", e.id)
	same(t, "after the deploy's event", again.next().text(t), "two")
}

func TestAnUnknownEventIsRefusedInWords(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.happen(w.c.Events, w.bob, "theirs")
	page := w.want(200, w.bob, "GET", Base+"/events", nil)
	foreign := page.list[0].(map[string]any)["id"].(string)
	for _, given := range []string{"evt_nothing", foreign, "1", "x y", "%00", "evt_'"} {
		s := open(t, site, w.ada, "", "Last-Event-ID", given)
		b, err := io.ReadAll(s.resp.Body)
		if err != nil || s.resp.StatusCode != 400 || !strings.Contains(string(b), `"header.Last-Event-ID"`) ||
			!strings.Contains(string(b), "evt_0") {
			t.Errorf("Last-Event-ID %q: %d %s %v", given, s.resp.StatusCode, b, err)
		}
	}
	s := open(t, site, w.ada, "?lastEventId=evt_nothing")
	if b, err := io.ReadAll(s.resp.Body); err != nil || s.resp.StatusCode != 400 ||
		!strings.Contains(string(b), `"query.lastEventId"`) {
		t.Errorf("%d %s %v", s.resp.StatusCode, b, err)
	}
	if s := open(t, site, w.ada, "?page=2"); s.resp.StatusCode != 400 {
		t.Errorf("a page of a stream: %d", s.resp.StatusCode)
	}
	w.refused("INVALID_REQUEST", w.ada, "GET", Base+"/events?lastEventId=evt_0", nil)
}

func TestTheHistoryAsAList(t *testing.T) {
	w := newWorld(t)
	w.happen(w.c.Events, w.ada, "1", "2", "3")
	w.happen(w.c.Events, w.bob, "theirs")
	r := w.want(200, w.ada, "GET", Base+"/events?limit=2", nil)
	if len(r.list) != 2 || !strings.Contains(fmt.Sprint(r.list[0]), "text:3") ||
		!strings.Contains(string(r.body), `"total":3`) {
		t.Errorf("%s", r.body)
	}
	w.deploy(w.ada)
	if r := w.want(200, w.ada, "GET", Base+"/events?type=deployment.created", nil); len(r.list) != 1 {
		t.Errorf("%s", r.body)
	}
	if r := w.want(200, w.ada, "GET", Base+"/events?subject=dep_1", nil); len(r.list) != 3 ||
		strings.Contains(string(r.body), "theirs") {
		t.Errorf("%s", r.body)
	}
}

func TestAStreamEndsWithItsKeySessionAndServer(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	cookie := w.signIn(w.ada)
	byKey, bySession := begun(t, site, w.ada, ""), begun(t, site, tenant{}, "", "Cookie", cookie)
	other := begun(t, site, w.bob, "")
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Accounts.RevokeKey(ctx, tx, w.ada.account, w.ada.key.ID)
		return err
	})
	byKey.ends("the key was revoked")
	if s := open(t, site, w.ada, ""); s.resp.StatusCode != 401 {
		t.Errorf("it begins again: %d", s.resp.StatusCode)
	}
	w.want(
		200,
		tenant{},
		"DELETE",
		AccountBase+"/sessions",
		nil,
		header("Cookie", cookie),
		header("Sec-Fetch-Site", "same-origin"),
	)
	bySession.ends("they signed out")
	w.happen(w.c.Events, w.bob, "still")
	same(t, "no other stream ended", other.next().text(t), "still")
	w.c.Events.EndWatches()
	other.ends("the server stops")
	begun(t, site, w.bob, "").ends("the server stops")
}

func TestManyStreamsButNotAnyNumber(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	var all []*stream
	for range maxEventStreams.one {
		all = append(all, begun(t, site, w.ada, ""))
	}
	s := open(t, site, w.ada, "")
	if b, err := io.ReadAll(s.resp.Body); err != nil || s.resp.StatusCode != 429 ||
		s.resp.Header.Get("Retry-After") == "" ||
		!strings.Contains(string(b), `"limit":16,"of":"caller"`) {
		t.Errorf("one more: %d %s", s.resp.StatusCode, b)
	}
	colleague := w.another(w.ada)
	all = append(all, begun(t, site, colleague, "")) // one key does not shut out the account
	begun(t, site, w.bob, "")
	w.happen(w.c.Events, w.ada, "to all")
	for _, s := range all {
		same(t, "each", s.next().text(t), "to all")
	}
	_ = all[0].resp.Body.Close()
	for deadline := time.Now().Add(patience); ; { // its place is free once the server has noticed
		if s := open(t, site, w.ada, ""); s.resp.StatusCode == 200 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("a place that was left is still taken: %d", s.resp.StatusCode)
		}
	}
}

// A reader that does not read is waited for, then cut off; what waits for it waits in the database.
func TestASlowReaderIsCutOff(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.s.streams.patience = 50 * time.Millisecond
	w.s.streams.beat, w.s.streams.recheck = time.Hour, time.Hour
	big := strings.Repeat("x", 100_000)
	for range 100 { // 10 MB, more than what lies between two ends of a connection
		w.happen(w.c.Events, w.ada, big)
	}
	conn, err := net.Dial("tcp", site.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET %s/events?lastEventId=evt_0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+
		"%s\r\n\r\n", Base, w.ada.secret); err != nil {
		t.Fatal(err)
	}
	inFlight := func() int {
		w.s.streams.mu.Lock()
		defer w.s.streams.mu.Unlock()
		return len(w.s.streams.open)
	}
	for deadline := time.Now().Add(patience); strings.Count(w.log.String(), `"route":"`+Base+`/events"`) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the reader that does not read still has its stream")
		}
	}
	same(t, "streams", inFlight(), 0)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err == nil && strings.HasSuffix(string(got), "0\r\n\r\n") {
		t.Error("it looks like a whole stream")
	}
	if n := strings.Count(string(got), "data: "); n >= 100 {
		t.Errorf("all %d events lay in between", n)
	}
}

func TestAStreamOfAnAccountNeedsItsScope(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	if s := open(t, site, w.keyWith(w.ada, "offers:read"), ""); s.resp.StatusCode != 403 {
		t.Errorf("%d", s.resp.StatusCode)
	}
	if s := open(t, site, tenant{}, ""); s.resp.StatusCode != 401 {
		t.Errorf("%d", s.resp.StatusCode)
	}
	r, err := http.NewRequest("HEAD", site.URL+Base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.ada.secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
}

// A stream is not resumed where events are missing, and is told so by a status of its own.
func TestStreamBehindDeletedEvents(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	for _, text := range []string{"one", "two", "three"} {
		w.happen(w.c.Events, w.ada, text)
	}
	list := w.want(200, w.ada, "GET", Base+"/events", nil).list // newest first
	at := func(i int) id.ID { return id.ID(list[i].(map[string]any)["id"].(string)) }
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Events.Delete(ctx, tx, at(2), at(1))
		return err
	})
	same(t, "after the newest one that was deleted",
		begun(t, site, w.ada, "", "Last-Event-ID", string(at(1))).next().text(t), "three")
	same(t, "from the beginning", begun(t, site, w.ada, "?lastEventId=evt_0").next().text(t), "three")
	s := open(t, site, w.ada, "", "Last-Event-ID", string(at(2)))
	if b, err := io.ReadAll(s.resp.Body); err != nil || s.resp.StatusCode != 410 ||
		!strings.Contains(string(b), `"EVENT_EXPIRED"`) || !strings.Contains(string(b), "evt_0") {
		t.Errorf("%d %s %v", s.resp.StatusCode, b, err)
	}
	if kept := w.want(200, w.ada, "GET", Base+"/events", nil).list; len(kept) != 1 {
		t.Errorf("%d events are listed", len(kept))
	}
}
