"""What is used outside of the coordinator: what makes a cloud function of a function, and the client."""
