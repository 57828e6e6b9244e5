{
    "get_metrics": null
}
