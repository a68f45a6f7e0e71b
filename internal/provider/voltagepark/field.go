package voltagepark

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// fields are the documented fields of each kind of row, whether we read them or not.
var fields = map[string]string{
	"bare-metal location": `id gpu_count_ethernet gpu_count_infiniband gpu_price_ethernet gpu_price_infiniband
		reserved_gpu_count_infiniband_cluster_one reserved_gpu_count_infiniband_cluster_two specs_per_node`,
	"VM location": "id available_presets",
	"preset": `id resources operating_system compute_rate_hourly storage_rate_hourly available_vms
		location_ids_with_availability`,
	"location": "id city region country hostnodes",
	"rental": `id name creation_timestamp status rate_hourly suborder sub_order power_status node_count
		specs_per_node network_type username node_networking storage_id storage_pv storage_pvc k8s_cluster_id
		kubeconfig tags`,
	"VM": `id hostnode_id type status name resources operating_system pricing public_ip internal_ip
		port_forwards timestamp_creation tags`,
	"volume": "id name size_in_gb status rate_hourly order_ids tenant_id vip used_capacity_bytes",
}

// reportUnknownFields reports the fields of a row that are not documented.
func (a *Adapter) reportUnknownFields(what string, row json.RawMessage) {
	var have map[string]json.RawMessage
	if a.account.Unknown == nil || json.Unmarshal(row, &have) != nil {
		return
	}
	known := strings.Fields(fields[what])
	for name := range have {
		if !slices.Contains(known, name) {
			a.account.Unknown(fmt.Sprintf("a %s has the unknown field %.80q", what, name))
		}
	}
}
