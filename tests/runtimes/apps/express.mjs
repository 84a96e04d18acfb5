/** Express, with its parser behind the route. */

import express from "express";

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import "./workers.mjs";

const app = express();
app.all("/", wrap());
app.use(express.json());
app.listen(process.env.PORT, "127.0.0.1");
