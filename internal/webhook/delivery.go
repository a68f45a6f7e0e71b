package webhook

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// payload is what is sent: the event as it is read from the log, with the members that the specification asks for.
type payload struct {
	Type      string         `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	ID        id.ID          `json:"id"`
	Subject   id.ID          `json:"subject"`
	Data      map[string]any `json:"data"`
	CreatedAt time.Time      `json:"createdAt"`
}

// bodyOf is the event as it is sent, the same at every attempt.
func bodyOf(e event.Event) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(payload{Type: e.Type, Timestamp: e.CreatedAt, ID: e.ID, Subject: e.Subject, Data: e.Data, CreatedAt: e.CreatedAt})
	return string(bytes.TrimSpace(b.Bytes())), err
}

// chunk is how many events become deliveries in one transaction.
const chunk = 100

// fanOut makes deliveries of all events that the endpoint has not seen.
func (s *Service) fanOut(ctx context.Context, w row) error {
	for {
		at, found, err := s.c.Events.Behind(ctx, s.c.DB, w.Account, w.after)
		if err != nil {
			return err
		}
		if !found {
			return errNoPlace(w)
		}
		events, next, err := s.c.Events.Next(ctx, s.c.DB, at, chunk)
		if err != nil || len(events) == 0 {
			return err
		}
		wanted := []outgoing{}
		for _, e := range events {
			if !w.wants(e.Type) {
				continue
			}
			body, err := bodyOf(e)
			if err != nil {
				return err
			}
			wanted = append(wanted, outgoing{id: s.c.IDs.New(id.Delivery), webhook: w.ID, event: e.ID, kind: e.Type, body: body})
		}
		moved := false
		err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			var err error
			moved, err = advance(ctx, tx, w, next.Event, wanted, tx.Now)
			return err
		})
		if err != nil || !moved { // another run was here, or the endpoint was disabled
			return err
		}
		w.after = next.Event
		if len(events) < chunk {
			return nil
		}
	}
}

// Deliveries returns a page of what was and will be sent to the endpoint, newest first, those of one status where it is not "",
// and how many there are; NOT_FOUND where there is no such endpoint.
func (s *Service) Deliveries(ctx context.Context, r db.Reader, account, webhook id.ID, of DeliveryStatus, p db.Page) ([]Delivery, db.Listed, error) {
	if _, err := s.Get(ctx, r, account, webhook); err != nil {
		return nil, db.Listed{}, err
	}
	list, listed, err := listDeliveries(ctx, r, webhook, of, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	out := make([]Delivery, len(list))
	for i, d := range list {
		out[i] = d.Delivery
	}
	return out, listed, addAttempts(ctx, r, out)
}

// Replay has a delivery sent again now, with the same id and body, and tried for three days anew; a test is tried once. It answers NOT_FOUND, and CONFLICT
// where the endpoint is not enabled.
func (s *Service) Replay(ctx context.Context, tx *db.Tx, account, webhook, delivery id.ID) (Delivery, error) {
	w, err := s.Get(ctx, tx, account, webhook)
	if err != nil {
		return Delivery{}, err
	}
	d, found, err := findDelivery(ctx, tx, delivery)
	if err != nil {
		return Delivery{}, err
	}
	if !found || d.Webhook != webhook {
		return Delivery{}, missing("delivery")
	}
	if !w.Enabled {
		return Delivery{}, apierr.New(apierr.Conflict, "This webhook is %s, so nothing is sent. Enable it first; what is pending is sent then.", w.Status)
	}
	if err := cmp.Or(replay(ctx, tx, delivery, tx.Now), wake(ctx, tx, webhook)); err != nil {
		return Delivery{}, err
	}
	if err := s.c.Jobs.Enqueue(ctx, tx, account, KindSend, webhook, tx.Now); err != nil {
		return Delivery{}, err
	}
	return s.delivery(ctx, tx, delivery)
}

// Test has an event of the type webhook.test sent now, once, also where the endpoint is not enabled. It is not in the account's
// log. NOT_FOUND where there is no such endpoint.
func (s *Service) Test(ctx context.Context, tx *db.Tx, account, webhook id.ID) (Delivery, error) {
	w, err := s.Get(ctx, tx, account, webhook)
	if err != nil {
		return Delivery{}, err
	}
	e := event.Event{ID: s.c.IDs.New(id.Event), Subject: w.ID, Type: TypeTest, Data: map[string]any{"description": w.Description}, CreatedAt: tx.Now}
	body, err := bodyOf(e)
	if err != nil {
		return Delivery{}, err
	}
	d := outgoing{id: s.c.IDs.New(id.Delivery), webhook: w.ID, event: e.ID, kind: e.Type, body: body}
	if err := addDelivery(ctx, tx, d, tx.Now); err != nil {
		return Delivery{}, err
	}
	if err := s.c.Jobs.Enqueue(ctx, tx, account, KindSend, w.ID, tx.Now); err != nil {
		return Delivery{}, err
	}
	return s.delivery(ctx, tx, d.id)
}

func (s *Service) delivery(ctx context.Context, r db.Reader, delivery id.ID) (Delivery, error) {
	d, found, err := findDelivery(ctx, r, delivery)
	if err != nil {
		return Delivery{}, err
	}
	if !found {
		return Delivery{}, missing("delivery")
	}
	out := []Delivery{d.Delivery}
	err = addAttempts(ctx, r, out)
	return out[0], err
}

const (
	purgeEvery = time.Hour
	purgeBatch = 500
)

// Purge forgets deliveries that are older than Kept, and comes back each hour. It is the handler of KindPurge.
func (s *Service) Purge(ctx context.Context, _ id.ID) (job.Outcome, error) {
	now := s.c.Clock.Now()
	for {
		var n int64
		err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = purge(ctx, tx, now.Add(-Kept), purgeBatch)
			return err
		})
		if err != nil {
			return job.Outcome{}, err
		}
		if n < purgeBatch {
			return job.At(now.Add(purgeEvery)), nil
		}
	}
}
