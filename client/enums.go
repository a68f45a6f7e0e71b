package client

// DeploymentStatuses returns every status of a deployment, in the order of its life.
func DeploymentStatuses() []DeploymentStatus {
	return []DeploymentStatus{
		DeploymentPending, DeploymentDeploying, DeploymentRunning, DeploymentStopped,
		DeploymentTerminating, DeploymentTerminated, DeploymentFailed, DeploymentInterrupted,
	}
}

// InstanceTypes returns every instance type.
func InstanceTypes() []InstanceType { return []InstanceType{BareMetal, VM, Spot, Cluster} }

// OfferSortKeys returns every key that a list of offers can be sorted by. A leading hyphen sorts in
// descending order.
func OfferSortKeys() []string {
	return []string{"price", "pricePerGpu", "gpuCount", "gpuMemoryGb", "name", "provider", "region"}
}

// DeploymentSortKeys returns every key that a list of deployments can be sorted by. A leading
// hyphen sorts in descending order.
func DeploymentSortKeys() []string { return []string{"createdAt", "name", "hourlyPrice", "costToDate"} }

// TransactionTypes returns every type of transaction.
func TransactionTypes() []TransactionType {
	return []TransactionType{
		TransactionTopUp, TransactionCredit, TransactionHold, TransactionRelease,
		TransactionCharge, TransactionRefund, TransactionAdjustment,
	}
}

// CreditStates returns every state of a credit.
func CreditStates() []CreditState {
	return []CreditState{CreditActive, CreditUsed, CreditExpired, CreditPermanent}
}

// TopUpStatuses returns every status of a top-up.
func TopUpStatuses() []TopUpStatus {
	return []TopUpStatus{TopUpPending, TopUpSucceeded, TopUpFailed, TopUpExpired, TopUpRefunded, TopUpDisputed}
}

// UsageGroups returns everything that costs can be grouped by.
func UsageGroups() []UsageGroup {
	return []UsageGroup{ByDay, ByDeployment, ByGPUType, ByProvider, ByTag, ByMember, ByAPIKey, ByProject}
}

// FOCUSVersions returns every version of FOCUS that the server writes.
func FOCUSVersions() []FOCUSVersion { return []FOCUSVersion{FOCUS12, FOCUS14} }

// BulkActions returns every bulk action.
func BulkActions() []BulkAction {
	return []BulkAction{BulkTerminate, BulkAddTags, BulkRemoveTags, BulkSetAutoTerminate}
}

// CreatorTypes returns every kind of creator.
func CreatorTypes() []CreatorType {
	return []CreatorType{CreatedByMember, CreatedByAPIKey, CreatedByOperator}
}

// VolumeStatuses returns every status of a volume, in the order of its life.
func VolumeStatuses() []VolumeStatus {
	return []VolumeStatus{
		VolumeCreating, VolumeAvailable, VolumeAttaching, VolumeAttached,
		VolumeDetaching, VolumeDeleting, VolumeDeleted, VolumeFailed,
	}
}

// WebhookDeliveryStatuses returns every status of a webhook delivery.
func WebhookDeliveryStatuses() []WebhookDeliveryStatus {
	return []WebhookDeliveryStatus{DeliveryPending, DeliveryDelivered, DeliveryFailed}
}
