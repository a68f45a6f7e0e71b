package rack

import (
	"context"
	"database/sql"
	"errors"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// byDeployment reads the machine of a deployment. In a transaction that writes it locks it.
func byDeployment(ctx context.Context, r db.Reader, deployment id.ID) (Machine, bool, error) {
	return machines.Find(ctx, r, `WHERE deployment_id = $1`+db.ForUpdate(r), deployment)
}

// tenanted returns every machine that a deployment has, by id. There are at most MaxMachines.
func tenanted(ctx context.Context, r db.Reader) ([]Machine, error) {
	return machines.Select(ctx, r, `WHERE deployment_id IS NOT NULL ORDER BY id`)
}

// assign gives a ready machine of the offer to a deployment, by one statement; false if there is
// none. Machines that another transaction is assigning are passed over.
func assign(
	ctx context.Context, tx *db.Tx, deployment id.ID, offerKey, region, launch string,
) (machine id.ID, found bool, err error) {
	for range assignTries {
		machine, found, err = assignFree(ctx, tx, deployment, offerKey, region, launch)
		if found || err != nil || db.ForUpdate(tx) == "" {
			return machine, found, err
		}
		// Others hold the machines that are left, and may give them back: this waits for them.
		rows, err := db.Collect(
			ctx, tx, func(row db.Row) (of id.ID, err error) { return of, row.Scan(&of) },
			`SELECT id FROM rack_machine WHERE offer_key = $1 AND region = $2 AND state = $3
				ORDER BY id`+db.ForUpdate(tx),
			offerKey, region, Ready)
		if err != nil || len(rows) == 0 {
			return "", false, err
		}
	}
	return "", false, nil
}

// assignTries is how often machines are looked for that others held.
const assignTries = 3

// assignFree assigns a machine that no other transaction holds.
func assignFree(
	ctx context.Context, tx *db.Tx, deployment id.ID, offerKey, region, launch string,
) (machine id.ID, found bool, err error) {
	lock := db.ForUpdate(tx)
	if lock != "" {
		lock += ` SKIP LOCKED`
	}
	err = tx.QueryRow(ctx, `UPDATE rack_machine SET state = $1, cause = $2, reason = '', state_at = $3, unerased = 1,
			deployment_id = $4, last_deployment = $4, tenancy = $5, wanted = '', wanted_at = NULL, launch = $6,
			installs = 1, assigned_at = $3, watched_at = NULL, detail = ''
		WHERE state = $7 AND id = (SELECT id FROM rack_machine WHERE offer_key = $8 AND region = $9 AND state = $7
			ORDER BY id LIMIT 1`+lock+`) RETURNING id`,
		Assigned, CauseAssigned, tx.Now, deployment, Installing, launch, Ready, offerKey, region).Scan(&machine)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return machine, err == nil, err
}

// hadMachine reports whether the deployment has had a machine.
func hadMachine(ctx context.Context, r db.Reader, deployment id.ID) (had bool, err error) {
	err = r.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM rack_machine WHERE last_deployment = $1)
		OR EXISTS (SELECT 1 FROM rack_erasure WHERE deployment_id = $1)`, deployment).Scan(&had)
	return had, err
}

// groups returns the machines as they are sold. Machines that are taken out, or were never ready,
// do not count.
func groups(ctx context.Context, r db.Reader) ([]Group, error) {
	return db.Collect(ctx, r, func(row db.Row) (g Group, err error) {
		err = row.Scan(&g.Key, &g.Region, &g.Fabric, &g.GPUType, &g.GPUCount, &g.GPUMemoryGB, &g.VCPUs, &g.MemoryGB,
			&g.StorageGB, &g.OverSSH, &g.HourlyPrice, &g.Ready, &g.Console)
		return g, err
	}, `SELECT offer_key, region, fabric, gpu_type, gpu_count, gpu_memory_gb, vcpus, memory_gb, storage_gb,
			ssh_address <> '', CAST(MAX(hourly_price) AS BIGINT),
			CAST(SUM(CASE WHEN state = $1 THEN 1 ELSE 0 END) AS BIGINT),
			CAST(MIN(CASE WHEN console = 'off' THEN 0 ELSE 1 END) AS BIGINT)
		FROM rack_machine WHERE retiring = 0 AND hourly_price > 0 AND vcpus > 0 AND memory_gb > 0 AND storage_gb > 0
			AND hardware <> 'null' AND state IN ($1, $2, $3, $4)
		GROUP BY offer_key, region, fabric, gpu_type, gpu_count, gpu_memory_gb, vcpus, memory_gb, storage_gb,
			ssh_address <> ''
		ORDER BY offer_key, region`, Ready, Assigned, Erasing, Validating)
}
