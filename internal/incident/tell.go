package incident

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// Tell tells the accounts with machines at the provider that an incident began, and then that it
// ended. It is the handler of KindTell. Each batch is one transaction with the place up to which
// was told, so that a run that is repeated goes on from there.
func (s *Service) Tell(ctx context.Context, of id.ID) (job.Outcome, error) {
	for {
		var more bool
		err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			i, found, err := find(ctx, tx, of)
			if err != nil || !found || i.Kind != NoAnswer {
				more = false
				return err
			}
			switch {
			case i.toldAt == nil:
				more, err = s.tellBeginning(ctx, tx, i)
			case i.EndedAt != nil:
				more, err = s.tellEnd(ctx, tx, i)
			default:
				more = false
			}
			return err
		})
		if err != nil || !more {
			return job.Done(), err
		}
	}
}

// tellBeginning tells the next accounts, and reports whether there is more to do. An incident that
// is over is told to no further account.
func (s *Service) tellBeginning(ctx context.Context, tx *db.Tx, i Incident) (more bool, err error) {
	var accounts []deployment.AccountMachines
	if i.EndedAt == nil {
		if accounts, err = deployment.AccountsAt(ctx, tx, i.Provider, "", i.told, batch); err != nil {
			return false, err
		}
	}
	var events []event.Event
	for _, a := range accounts {
		events = append(events, event.Event{
			Account: a.Account, Subject: a.Account, Type: "account.provider_outage", Data: s.data(i, map[string]any{
				"machines": a.Machines,
			}),
		})
		i.told = a.Account
	}
	if err := insertTold(ctx, tx, i.ID, accounts); err != nil {
		return false, err
	}
	if len(accounts) < batch {
		i.told, i.toldAt = "", &tx.Now
	}
	if err := update(ctx, tx, i); err != nil {
		return false, err
	}
	return i.toldAt == nil || i.EndedAt != nil, s.append(ctx, tx, events)
}

// tellEnd tells the next of the accounts that were told of the beginning.
func (s *Service) tellEnd(ctx context.Context, tx *db.Tx, i Incident) (more bool, err error) {
	accounts, err := takeTold(ctx, tx, i.ID, batch)
	if err != nil || len(accounts) == 0 {
		return false, err
	}
	var events []event.Event
	for _, a := range accounts {
		events = append(events, event.Event{
			Account: a, Subject: a, Type: "account.provider_recovered", Data: s.data(i, map[string]any{
				"endedAt": *i.EndedAt,
			}),
		})
	}
	return true, s.append(ctx, tx, events)
}

func (s *Service) append(ctx context.Context, tx *db.Tx, events []event.Event) error {
	if len(events) == 0 {
		return nil
	}
	return s.cfg.Events.Append(ctx, tx, events...)
}

// data adds what all events of the incident have.
func (s *Service) data(i Incident, data map[string]any) map[string]any {
	data["incidentId"], data["provider"], data["startedAt"] = i.ID, i.Provider, i.StartedAt
	data["providerName"] = i.Provider
	for _, p := range s.cfg.Catalog.Default().Providers() {
		if p.Slug == i.Provider {
			data["providerName"] = p.Name
		}
	}
	return data
}
