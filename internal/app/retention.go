package app

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/retention"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/prometheus/client_golang/prometheus"
)

// buildRetention returns what deletes old rows.
func (a *App) buildRetention() (*retention.Service, error) {
	if a.cfg.ArchiveDir != "" {
		if err := retention.CheckDir(a.cfg.ArchiveDir); err != nil {
			return nil, fmt.Errorf("--archive-dir: %w", err)
		}
	}
	deleted := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "billet_retention_deleted_rows_total",
		Help: "Rows that this replica has deleted because they were older than they are kept.",
	}, []string{"kind"})
	a.metrics.MustRegister(deleted)
	kinds := []retention.Kind{
		{Name: "events", Keep: a.cfg.KeepEvents, Rows: a.Events},
		{Name: "audit", Keep: a.cfg.KeepAudit, Rows: a.Audit},
		{Name: "issues", Keep: a.cfg.KeepIssues, Purge: a.Issues.Purge},
	}
	for _, k := range kinds {
		deleted.WithLabelValues(k.Name) // there from the start
	}
	return retention.New(retention.Config{
		DB: a.DB, Jobs: a.Jobs, Clock: a.Clock, Log: a.cfg.Log, Kinds: kinds, Dir: a.cfg.ArchiveDir,
		Deleted: func(kind string, rows int64) { deleted.WithLabelValues(kind).Add(float64(rows)) },
	}), nil
}

// startPurges enqueues the periodic deletion of old answers, webhook deliveries and mails.
func (a *App) startPurges(ctx context.Context) error {
	return a.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := a.Jobs.Enqueue(ctx, tx, job.NoOwner, idempotency.KindPurge, idempotency.Fleet, tx.Now); err != nil {
			return err
		}
		if err := a.Jobs.Enqueue(ctx, tx, job.NoOwner, mail.KindPurge, mail.Fleet, tx.Now); err != nil {
			return err
		}
		err := a.Jobs.Enqueue(ctx, tx, job.NoOwner, announcement.KindPurge, announcement.Fleet, tx.Now)
		if err != nil {
			return err
		}
		if err := a.services.payments.svc.StartJobs(ctx, tx); err != nil {
			return err
		}
		return a.Jobs.Enqueue(ctx, tx, job.NoOwner, webhook.KindPurge, webhook.Fleet, tx.Now)
	})
}
